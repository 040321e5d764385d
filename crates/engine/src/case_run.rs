//! One round of one case on all its nodes, from the start of its monitors to its verdict.
//!
//! ```text
//! prepare on every node ──► start on all at one moment ──► until every task has ended
//!     ──► fetch the files they left ──► monitors off ──► verdict
//! ```
//!
//! In a case that spans its nodes one rank's failure ends all; otherwise nodes do not concern each other.

use std::collections::BTreeSet;
use std::time::Duration;

use flagperf_library::{Collected, Collector};
use flagperf_model::{
    CaseRecord, EventKind, Measurement, NodeName, NodeScope, Outcome, PlannedCase, StartSkew,
    Timestamp,
};
use flagperf_transport::{SessionEvent, now};
use flagperf_wire::{FromAgent, Opener, TaskDirectory, TaskEnd, TaskId, ToAgent, TreeId};
use tokio::time::{Instant, sleep_until};

use crate::emission::Emission;
use crate::run::{Context, Incoming};
use crate::tail::Tails;
use crate::verdict::{Exit, Story, verdict};

/// What the nodes have to make ready for a task, the copying of its directory included.
const PREPARING: Duration = Duration::from_mins(5);

/// The agent ends a task that reaches its bounds. When it has not told the end this long after the
/// latest of them, the node is taken for lost.
const BACKSTOP: Duration = Duration::from_mins(1);

/// How long the end of a task is awaited after the user asked a second time.
const AT_ONCE: Duration = Duration::from_millis(500);

/// How long monitors may take to stop. A monitor's failure never changes a case's outcome.
const MONITOR_STOP: Duration = Duration::from_secs(5);

/// Fetching files is given up when none of their bytes has come for this long.
const NO_FILES: Duration = Duration::from_secs(30);

/// Nodes whose files are fetched at a time: enough to fill the network, and few enough for the disk.
const FETCHED_AT_ONCE: usize = 16;

/// Time between the order to start and the start beside what messages take, for each node: writing
/// an order takes some microseconds, and an agent must be awake before its moment.
const LEAD: Duration = Duration::from_millis(2);

/// See [`LEAD`].
const LEAD_EACH: Duration = Duration::from_micros(20);

/// A round while it runs.
pub(crate) struct CaseRun<'a, 'c> {
    context: &'a mut Context<'c>,
    index: usize,
    case: &'a PlannedCase,
    /// True if one task spans all its nodes.
    spans: bool,
    started: Timestamp,
    task: TaskId,
    nodes: Vec<NodeState>,
    collector: Collector,
    story: Story,
    reported: BTreeSet<NodeName>,
    tails: Tails,
    files_moved: Instant,
    opener: Opener,
}

/// What a node of this round has told.
struct NodeState {
    stage: Stage,
    sampling: bool,
    has_files: bool,
    /// When its processes were started, and how well that is known, in seconds.
    started: Option<(Timestamp, f64)>,
    /// What to add to the node's own time, in nanoseconds. Fixed for the round, so that its samples
    /// stay in order.
    correction_ns: i64,
}

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Preparing,
    Prepared,
    Running,
    Ended,
    Fetching,
    /// Nothing more is expected of it but samples.
    Done,
}

impl<'a, 'c> CaseRun<'a, 'c> {
    pub(crate) fn new(context: &'a mut Context<'c>, index: usize, case: &'a PlannedCase) -> Self {
        let task = TaskId(context.next_task);
        context.next_task += 1;
        let nodes = context.nodes.iter().map(|node| NodeState {
            stage: Stage::Done,
            sampling: false,
            has_files: false,
            started: None,
            correction_ns: (-node.session.clock().ahead_s * 1e9) as i64,
        });
        let tails = Tails::new(nodes.len());
        Self {
            nodes: nodes.collect(),
            context,
            index,
            case,
            spans: case.spec.nodes == NodeScope::All,
            started: now(),
            task,
            collector: Collector::new(case),
            story: Story::default(),
            reported: BTreeSet::new(),
            tails,
            files_moved: Instant::now(),
            opener: Opener::default(),
        }
    }

    /// Starts the round and sees it through.
    pub(crate) async fn await_end(mut self) -> Outcome {
        self.prepare();
        // Who wants to stop need not wait until files have arrived that nobody will use.
        let is_preparing =
            |run: &Self| !run.story.aborted && run.any(Stage::Preparing..=Stage::Preparing);
        if !self
            .hear_while(Instant::now() + PREPARING, is_preparing)
            .await
        {
            self.give_up(
                Stage::Preparing,
                "its agent did not make ready for the task in time",
            );
        }
        if self.story.aborted || (self.spans && self.story.is_bad()) {
            self.skip_to_done();
        } else {
            self.launch();
        }
        let bound = self.case.limits.timeout_s + self.case.limits.grace_s;
        let deadline = Instant::now() + Duration::from_secs_f64(bound.clamp(0.0, 3e8)) + BACKSTOP;
        let is_running = |run: &Self| run.any(Stage::Preparing..=Stage::Running);
        if !self.hear_while(deadline, is_running).await && !self.context.is_urgent() {
            let reason =
                format!("its agent did not tell the end of a task that was due after {bound} s");
            self.give_up(Stage::Running, &reason);
        }
        if !self.context.is_urgent() {
            self.fetch().await;
            self.await_monitors().await;
        }
        self.conclude()
    }

    /// Takes in what comes while something holds. False if the deadline, or the user's wish to stop at
    /// once, came first.
    async fn hear_while(&mut self, deadline: Instant, holds: impl Fn(&Self) -> bool) -> bool {
        let mut deadline = deadline;
        while holds(self) {
            let incoming = tokio::select! {
                incoming = self.context.incoming.recv() => incoming,
                () = sleep_until(deadline) => None,
            };
            match incoming {
                Some(Incoming::Interrupt) => {
                    self.context.interrupted();
                    self.story.aborted = true;
                    let at_once = self.context.is_urgent();
                    self.end_task(at_once);
                    if at_once {
                        deadline = deadline.min(Instant::now() + AT_ONCE);
                    }
                }
                Some(Incoming::Agent(node, event)) => self.hear(node, event),
                None => return false,
            }
        }
        true
    }

    fn any(&self, stages: std::ops::RangeInclusive<Stage>) -> bool {
        self.nodes
            .iter()
            .zip(&self.context.nodes)
            .any(|(state, node)| stages.contains(&state.stage) && node.lost.is_none())
    }

    fn prepare(&mut self) {
        self.context.consumer.take(&Emission::CaseBegins(self.case));
        self.context.tell_at(
            self.started,
            EventKind::CaseStarted {
                case: self.case.name().clone(),
                round: self.case.round,
                index: self.index as u32 + 1,
                expected_s: self.case.expected_s,
            },
        );
        for (node, lacks) in &self.case.left_out {
            self.context.tell(EventKind::Warning {
                message: format!("{} is not run on {node}: {lacks}", self.case.name()),
            });
        }
        let interval_ns = self.context.request.plan.monitor.interval_ns;
        let trees = self.context.request.trees;
        for (node, state) in self.context.nodes.iter_mut().zip(&mut self.nodes) {
            let planned = self.case.tasks.iter().find(|task| task.node == node.name);
            let Some(planned) = planned.filter(|_| node.lost.is_none()) else {
                continue;
            };
            let directory = match &planned.case_directory {
                None => TaskDirectory::Any,
                Some(path) if node.is_local => TaskDirectory::Path(path.clone()),
                Some(path) => match trees
                    .iter()
                    .enumerate()
                    .find(|(_, (known, _))| *known == path)
                {
                    Some((id, (_, packed))) => {
                        let tree = TreeId(id as u32);
                        if node.trees.insert(tree) {
                            node.session.put(tree, packed.clone());
                        }
                        TaskDirectory::Tree(tree)
                    }
                    // Somebody who knows the node's files has put it there.
                    None => TaskDirectory::Path(path.clone()),
                },
            };
            node.session.send(ToAgent::MonitorStart { interval_ns });
            node.session.send(ToAgent::Prepare {
                task: self.task,
                directory,
            });
            state.sampling = true;
            state.stage = Stage::Preparing;
        }
    }

    /// Tells all nodes to start at one moment, far enough ahead that the order has reached each.
    fn launch(&mut self) {
        let ready: Vec<usize> = (0..self.nodes.len())
            .filter(|place| self.nodes[*place].stage == Stage::Prepared)
            .filter(|place| self.context.nodes[*place].lost.is_none())
            .collect();
        let slowest = ready
            .iter()
            .map(|place| self.context.nodes[*place].session.clock().uncertainty_s)
            .fold(0.0, f64::max);
        // A message takes half of a round trip, which is what the uncertainty is; the network may be
        // four times slower than at its best.
        let lead = Duration::from_secs_f64((4.0 * slowest).min(1.0))
            + LEAD
            + LEAD_EACH * ready.len() as u32;
        let moment = now().plus_nanos(lead.as_nanos() as i64);
        for place in ready.iter().copied() {
            let node = &self.context.nodes[place];
            let Some(task) = self.case.tasks.iter().find(|task| task.node == node.name) else {
                continue;
            };
            node.session.send(ToAgent::Run {
                task: self.task,
                processes: task.processes.clone(),
                limits: self.case.limits,
                start_at: if ready.len() > 1 {
                    node.session.mono_ns(moment)
                } else {
                    0
                },
            });
            self.nodes[place].stage = Stage::Running;
        }
    }

    fn skip_to_done(&mut self) {
        for (state, node) in self.nodes.iter_mut().zip(&self.context.nodes) {
            if state.stage < Stage::Ended {
                state.stage = Stage::Done;
                node.session.send(ToAgent::MonitorStop);
            }
        }
    }

    fn end_task(&self, kill: bool) {
        let task = self.task;
        for (state, node) in self.nodes.iter().zip(&self.context.nodes) {
            if state.stage == Stage::Running {
                node.session.send(ToAgent::End { task, kill });
            }
        }
    }

    /// On other nodes the task may wait for ranks that will not come.
    fn end_others(&self) {
        if self.spans {
            self.end_task(false);
        }
    }

    fn give_up(&mut self, stage: Stage, reason: &str) {
        for place in 0..self.nodes.len() {
            if self.nodes[place].stage == stage && self.context.nodes[place].lost.is_none() {
                self.lose(place, reason.to_owned());
            }
        }
    }

    fn lose(&mut self, node: usize, reason: String) {
        // A node that has done its part does not take that back by leaving.
        if self.nodes[node].stage < Stage::Ended {
            self.story
                .lost
                .get_or_insert((self.context.nodes[node].name.clone(), reason.clone()));
        }
        self.context.lose(node, reason);
        self.end_others();
    }

    fn hear(&mut self, node: usize, event: SessionEvent) {
        let name = self.context.nodes[node].name.clone();
        match event {
            SessionEvent::Message(message) => self.message(node, &name, message),
            SessionEvent::Silent(seconds) => {
                self.context.tell(EventKind::NodeSilent {
                    node: name,
                    seconds,
                });
            }
            SessionEvent::Back => self.context.tell(EventKind::NodeBack { node: name }),
            SessionEvent::Closed(reason) => self.lose(node, reason),
        }
    }

    fn message(&mut self, node: usize, name: &NodeName, message: FromAgent) {
        match message {
            FromAgent::Prepared { task } => {
                if task == self.task && self.nodes[node].stage == Stage::Preparing {
                    self.nodes[node].stage = Stage::Prepared;
                }
            }
            FromAgent::Started { task, mono_ns } if task == self.task => {
                let session = &self.context.nodes[node].session;
                let moment = session.moment(mono_ns);
                self.nodes[node].started = Some((moment, session.clock().uncertainty_s));
                self.tell_skew();
            }
            FromAgent::Output { task, rank, chunk } => match self.opener.open(chunk) {
                Ok(bytes) => {
                    if task == self.task {
                        self.output(node, name, rank, &bytes);
                    }
                    // The bytes are written; as many more may come.
                    self.context.nodes[node].session.send(ToAgent::Credit {
                        bytes: bytes.len() as u64,
                    });
                }
                Err(error) => self.lose(node, error.to_string()),
            },
            FromAgent::Exited {
                task,
                rank,
                end,
                asked,
                mono_ns,
            } if task == self.task => self.story.exits.push(Exit {
                node: name.clone(),
                rank,
                end,
                asked,
                at: self.context.nodes[node].session.moment(mono_ns),
            }),
            FromAgent::TaskEnded {
                task,
                end,
                strays,
                unkillable,
                has_files,
            } if task == self.task => {
                self.nodes[node].stage = Stage::Ended;
                self.nodes[node].has_files = has_files;
                self.context.nodes[node].session.send(ToAgent::MonitorStop);
                self.task_ended(name, end, strays, &unkillable);
            }
            FromAgent::Files { task, bytes } => {
                if task == self.task {
                    self.files_moved = Instant::now();
                    self.context.consumer.take(&Emission::Files {
                        node: self.context.nodes[node].place,
                        bytes: &bytes,
                    });
                }
                self.context.nodes[node].session.send(ToAgent::Credit {
                    bytes: bytes.len() as u64,
                });
            }
            FromAgent::FilesEnded {
                task,
                files,
                bytes,
                problems,
            } if task == self.task => {
                self.nodes[node].stage = Stage::Done;
                self.context.consumer.take(&Emission::FilesEnded {
                    node: self.context.nodes[node].place,
                });
                self.context.tell(EventKind::Collected {
                    case: self.case.name().clone(),
                    node: name.clone(),
                    files,
                    bytes,
                });
                for problem in problems {
                    self.context.tell(EventKind::Warning {
                        message: format!("{name}: {problem}"),
                    });
                }
            }
            FromAgent::Samples { mut block } => {
                for time in &mut block.times {
                    *time = time.plus_nanos(self.nodes[node].correction_ns);
                }
                self.context.consumer.take(&Emission::Samples {
                    node: self.context.nodes[node].place,
                    block: &block,
                });
            }
            FromAgent::MonitorStopped { cost } => {
                self.nodes[node].sampling = false;
                self.context.tell(EventKind::MonitorStopped {
                    case: self.case.name().clone(),
                    node: name.clone(),
                    cost,
                });
            }
            FromAgent::Warning { message } => self.context.tell(EventKind::Warning {
                message: format!("{name}: {message}"),
            }),
            FromAgent::Refused { reason } => {
                self.story.refused.get_or_insert((name.clone(), reason));
                self.nodes[node].stage = Stage::Done;
                self.context.nodes[node].session.send(ToAgent::MonitorStop);
                self.end_others();
            }
            // Late words about a task that is over, and answers to nothing that was asked.
            FromAgent::Hello { .. }
            | FromAgent::Heartbeat
            | FromAgent::Pong { .. }
            | FromAgent::Facts { .. }
            | FromAgent::Started { .. }
            | FromAgent::Exited { .. }
            | FromAgent::TaskEnded { .. }
            | FromAgent::FilesEnded { .. } => {}
        }
    }

    /// Tells how far apart the nodes began, once all have.
    fn tell_skew(&mut self) {
        let tasks = self.case.tasks.len();
        let begun = self.nodes.iter().zip(&self.context.nodes);
        let begun: Vec<(Timestamp, f64, &NodeName)> = begun
            .filter_map(|(state, node)| {
                let (moment, uncertainty_s) = state.started?;
                Some((moment, uncertainty_s, &node.name))
            })
            .collect();
        if tasks < 2 || begun.len() < tasks {
            return;
        }
        let first = begun.iter().min_by_key(|(moment, _, _)| *moment);
        let last = begun.iter().max_by_key(|(moment, _, _)| *moment);
        if let (Some(first), Some(last)) = (first, last) {
            let skew = StartSkew {
                seconds: last.0.seconds_since(first.0),
                uncertainty_s: first.1 + last.1,
                first: first.2.clone(),
                last: last.2.clone(),
            };
            self.context.tell(EventKind::TaskStarted {
                case: self.case.name().clone(),
                round: self.case.round,
                skew,
            });
        }
    }

    fn task_ended(
        &mut self,
        name: &NodeName,
        end: TaskEnd,
        strays: Vec<String>,
        unkillable: &[String],
    ) {
        match end {
            TaskEnd::Finished | TaskEnd::Requested => {}
            TaskEnd::TimedOut => self.story.timed_out = true,
            TaskEnd::Stalled => {
                self.story.stalled.get_or_insert(name.clone());
            }
        }
        if !strays.is_empty() {
            self.context.tell(EventKind::StrayProcesses {
                case: self.case.name().clone(),
                node: name.clone(),
                commands: strays,
            });
        }
        if !unkillable.is_empty() {
            self.context.tell(EventKind::Warning {
                message: format!(
                    "{name}: processes that could not be ended are left: {}",
                    unkillable.join(", ")
                ),
            });
        }
        if self.story.is_bad() {
            self.end_others();
        }
    }

    fn output(&mut self, node: usize, name: &NodeName, rank: u32, bytes: &[u8]) {
        self.context.consumer.take(&Emission::Output {
            node: self.context.nodes[node].place,
            rank,
            bytes,
        });
        self.tails.add(node, bytes);
        for collected in self.collector.feed(name, rank, bytes) {
            self.collected(node, name, collected);
        }
    }

    /// Fetches the files that tasks have left, from some nodes at a time.
    async fn fetch(&mut self) {
        self.files_moved = Instant::now();
        loop {
            self.fetch_more();
            let fetching = self.count(Stage::Fetching);
            if fetching == 0 {
                return;
            }
            let deadline = self.files_moved + NO_FILES;
            let as_many = move |run: &Self| run.count(Stage::Fetching) >= fetching;
            if !self.hear_while(deadline, as_many).await {
                if self.context.is_urgent() {
                    return;
                }
                if self.files_moved + NO_FILES <= Instant::now() {
                    self.context.tell(EventKind::Warning {
                        message: format!(
                            "not all files that {} left could be fetched: none came for {} s",
                            self.case.name(),
                            NO_FILES.as_secs()
                        ),
                    });
                    return;
                }
            }
        }
    }

    fn count(&self, stage: Stage) -> usize {
        let states = self.nodes.iter().zip(&self.context.nodes);
        states
            .filter(|(state, node)| state.stage == stage && node.lost.is_none())
            .count()
    }

    fn fetch_more(&mut self) {
        let mut room = FETCHED_AT_ONCE.saturating_sub(self.count(Stage::Fetching));
        for (state, node) in self.nodes.iter_mut().zip(&self.context.nodes) {
            if room > 0 && state.has_files && state.stage == Stage::Ended && node.lost.is_none() {
                node.session.send(ToAgent::Collect { task: self.task });
                state.stage = Stage::Fetching;
                room -= 1;
            }
        }
    }

    fn collected(&mut self, node: usize, name: &NodeName, collected: Collected) {
        let record = match collected {
            Collected::Record(record) => record,
            Collected::Warning(message) => {
                self.context.tell(EventKind::Warning { message });
                return;
            }
        };
        let case = self.case.name().clone();
        match record {
            CaseRecord::Phase {
                rank,
                phase,
                mono_ns,
            } => {
                let at = self.context.nodes[node].session.moment(mono_ns);
                self.context.tell_at(
                    at,
                    EventKind::Phase {
                        case,
                        node: name.clone(),
                        rank,
                        phase,
                    },
                );
            }
            CaseRecord::Live {
                rank,
                metric,
                value,
                unit,
                remaining_s,
            } => self.context.tell(EventKind::Live {
                case,
                node: name.clone(),
                rank,
                metric,
                value,
                unit,
                remaining_s,
            }),
            CaseRecord::Measurement(measurement) => {
                self.reported.insert(name.clone());
                self.measured(name.clone(), *measurement);
            }
            CaseRecord::Unsupported { feature } => {
                self.story.unsupported.get_or_insert(feature);
            }
            CaseRecord::Failure { rank, message } => {
                self.story.failures.push((name.clone(), rank, message));
            }
            CaseRecord::Note { rank, key, value } => self.context.tell(EventKind::Note {
                case,
                node: name.clone(),
                rank,
                key,
                value,
            }),
        }
    }

    fn measured(&mut self, node: NodeName, measurement: Measurement) {
        self.context.tell(EventKind::Measured {
            case: self.case.name().clone(),
            round: self.case.round,
            node,
            measurement: Box::new(measurement),
        });
    }

    async fn await_monitors(&mut self) {
        let deadline = Instant::now() + MONITOR_STOP;
        while self
            .nodes
            .iter()
            .zip(&self.context.nodes)
            .any(|(state, node)| state.sampling && node.lost.is_none())
        {
            let incoming = tokio::select! {
                incoming = self.context.incoming.recv() => incoming,
                () = sleep_until(deadline) => None,
            };
            match incoming {
                Some(Incoming::Agent(node, event)) => self.hear(node, event),
                Some(Incoming::Interrupt) => {
                    self.context.interrupted();
                    if self.context.is_urgent() {
                        return;
                    }
                }
                None => {
                    self.context.tell(EventKind::Warning {
                        message: format!(
                            "the monitors of {} did not stop within {} s; their last samples are lost",
                            self.case.name(),
                            MONITOR_STOP.as_secs()
                        ),
                    });
                    return;
                }
            }
        }
    }

    fn conclude(mut self) -> Outcome {
        let (last, summary) =
            std::mem::replace(&mut self.collector, Collector::new(self.case)).finish();
        for (name, collected) in last {
            let node = self.context.nodes.iter().position(|node| node.name == name);
            if let Some(node) = node {
                self.collected(node, &name, collected);
            }
        }
        for message in summary.warnings {
            self.context.tell(EventKind::Warning { message });
        }
        for (name, measurement) in summary.measurements {
            self.measured(name, measurement);
        }
        let ended = now();
        self.reported
            .extend(summary.result_lines.into_iter().map(|(name, _)| name));
        // A task that spans its nodes speaks for all of them, whichever of its ranks prints.
        let mut tasks = self.case.tasks.iter();
        let silent = if self.spans {
            tasks.next().filter(|_| !summary.reported)
        } else {
            tasks.find(|task| !self.reported.contains(&task.node))
        };
        let silent = silent.map(|task| task.node.clone());
        let ran = !self.case.tasks.is_empty();
        let outcome = verdict(&self.story, &self.case.limits, silent, ran);
        let names = self.context.nodes.iter().map(|node| &node.name);
        let tail = self.tails.of(&outcome, names);
        self.context.tell_at(
            ended,
            EventKind::CaseEnded {
                case: self.case.name().clone(),
                round: self.case.round,
                outcome: outcome.clone(),
                seconds: ended.seconds_since(self.started),
                tail,
            },
        );
        outcome
    }
}
