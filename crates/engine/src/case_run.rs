//! One round of one case on all its nodes, from the start of its monitors to its verdict.

use std::collections::VecDeque;
use std::time::Duration;

use flagperf_library::{Collected, Collector};
use flagperf_model::{
    CaseRecord, EventKind, Measurement, NodeName, Outcome, PlannedCase, RECORD_PREFIX, Timestamp,
};
use flagperf_transport::SessionEvent;
use flagperf_wire::{FromAgent, TaskEnd, TaskId, ToAgent};
use tokio::time::{Instant, sleep_until};

use crate::emission::Emission;
use crate::run::{Context, Incoming, now};
use crate::verdict::{Exit, Story, verdict};

/// The agent ends a task that reaches its bounds. When it has not told the end this long after the
/// latest of them, the node is taken for lost.
const BACKSTOP: Duration = Duration::from_mins(1);

/// How long the end of a task is awaited after the user asked a second time.
const AT_ONCE: Duration = Duration::from_millis(500);

/// How long monitors may take to stop. A monitor's failure never changes a case's outcome.
const MONITOR_STOP: Duration = Duration::from_secs(5);

/// Output kept for the last lines of a case that fails, in bytes.
const TAIL_BYTES: usize = 16 << 10;

/// Last lines told of a case that fails.
const TAIL_LINES: usize = 20;

/// A round while it runs.
pub(crate) struct CaseRun<'a, 'c> {
    context: &'a mut Context<'c>,
    index: usize,
    case: &'a PlannedCase,
    started: Timestamp,
    task: TaskId,
    nodes: Vec<NodeState>,
    collector: Collector,
    story: Story,
    tail: VecDeque<u8>,
}

/// What a node of this round has told.
#[derive(Default)]
struct NodeState {
    task_ended: bool,
    sampling: bool,
}

impl<'a, 'c> CaseRun<'a, 'c> {
    pub(crate) fn new(context: &'a mut Context<'c>, index: usize, case: &'a PlannedCase) -> Self {
        let task = TaskId(context.next_task);
        context.next_task += 1;
        Self {
            nodes: context.nodes.iter().map(|_| NodeState::default()).collect(),
            context,
            index,
            case,
            started: now(),
            task,
            collector: Collector::new(case),
            story: Story::default(),
            tail: VecDeque::new(),
        }
    }

    /// Starts the round and sees it through.
    pub(crate) async fn await_end(mut self) -> Outcome {
        self.start();
        let bound = self.case.limits.timeout_s + self.case.limits.grace_s;
        let mut deadline =
            Instant::now() + Duration::from_secs_f64(bound.clamp(0.0, 3e8)) + BACKSTOP;
        while self.is_running() {
            let incoming = tokio::select! {
                incoming = self.context.incoming.recv() => incoming,
                () = sleep_until(deadline) => None,
            };
            match incoming {
                Some(Incoming::Interrupt) => {
                    self.context.interrupted();
                    self.story.aborted = true;
                    let at_once = self.context.interrupts > 1;
                    self.end_task(at_once);
                    if at_once {
                        deadline = Instant::now() + AT_ONCE;
                    }
                }
                Some(Incoming::Agent(node, event)) => self.hear(node, event),
                None if self.story.aborted => break,
                None => self.give_up(bound),
            }
        }
        if !self.context.is_urgent() {
            self.await_monitors().await;
        }
        self.conclude()
    }

    fn start(&mut self) {
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
        let interval_ns = self.context.plan.monitor.interval_ns;
        for (node, state) in self.context.nodes.iter().zip(&mut self.nodes) {
            match self.case.tasks.iter().find(|task| task.node == node.name) {
                Some(task) => {
                    node.session.send(ToAgent::MonitorStart { interval_ns });
                    node.session.send(ToAgent::Run {
                        task: self.task,
                        processes: task.processes.clone(),
                        limits: self.case.limits,
                    });
                    state.sampling = true;
                }
                None => state.task_ended = true,
            }
        }
    }

    fn is_running(&self) -> bool {
        self.nodes
            .iter()
            .zip(&self.context.nodes)
            .any(|(state, node)| !state.task_ended && node.lost.is_none())
    }

    fn end_task(&self, kill: bool) {
        let task = self.task;
        for node in &self.context.nodes {
            node.session.send(ToAgent::End { task, kill });
        }
    }

    fn give_up(&mut self, bound: f64) {
        for place in 0..self.nodes.len() {
            if !self.nodes[place].task_ended && self.context.nodes[place].lost.is_none() {
                self.lose(
                    place,
                    format!(
                        "its agent did not tell the end of a task that was due after {bound} s"
                    ),
                );
            }
        }
    }

    fn lose(&mut self, node: usize, reason: String) {
        self.story
            .lost
            .get_or_insert((self.context.nodes[node].name.clone(), reason.clone()));
        self.context.lose(node, reason);
        // The others would wait for a rank that will not come.
        self.end_task(false);
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
            FromAgent::Output { task, rank, bytes } => {
                if task == self.task {
                    self.output(node, name, rank, &bytes);
                }
                // The bytes are written; as many more may come.
                self.context.nodes[node].session.send(ToAgent::Credit {
                    bytes: bytes.len() as u64,
                });
            }
            FromAgent::Exited {
                task,
                rank,
                end,
                asked,
            } if task == self.task => self.story.exits.push(Exit {
                node: name.clone(),
                rank,
                end,
                asked,
            }),
            FromAgent::TaskEnded {
                task,
                end,
                strays,
                unkillable,
            } if task == self.task => {
                self.nodes[node].task_ended = true;
                self.context.nodes[node].session.send(ToAgent::MonitorStop);
                self.task_ended(name, end, strays, &unkillable);
            }
            FromAgent::Samples { block } => {
                self.context.consumer.take(&Emission::Samples {
                    node,
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
            FromAgent::Refused { reason } => {
                self.story.refused.get_or_insert((name.clone(), reason));
                self.nodes[node].task_ended = true;
                self.context.nodes[node].session.send(ToAgent::MonitorStop);
                self.end_task(false);
            }
            // Late words about a task that is over, and answers to nothing that was asked.
            FromAgent::Hello { .. }
            | FromAgent::Heartbeat
            | FromAgent::Facts { .. }
            | FromAgent::Exited { .. }
            | FromAgent::TaskEnded { .. } => {}
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
            // On other nodes the task may wait for this one's ranks.
            self.end_task(false);
        }
    }

    fn output(&mut self, node: usize, name: &NodeName, rank: u32, bytes: &[u8]) {
        self.context
            .consumer
            .take(&Emission::Output { node, rank, bytes });
        self.tail.extend(bytes);
        let excess = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..excess);
        for collected in self.collector.feed(name, rank, bytes) {
            self.collected(node, name, collected);
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
                let at = self.context.nodes[node].session.clock().moment(mono_ns);
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
            CaseRecord::Measurement(measurement) => self.measured(name.clone(), *measurement),
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
        let first = self.context.nodes.first().map(|node| node.name.clone());
        let outcome = verdict(&self.story, &self.case.limits, summary.reported, first);
        let tail = if outcome.is_failure() {
            last_lines(self.tail.make_contiguous())
        } else {
            Vec::new()
        };
        self.context.tell_at(
            ended,
            EventKind::CaseEnded {
                case: self.case.name().clone(),
                round: self.case.round,
                outcome: outcome.clone(),
                seconds: ended.seconds_since(self.started),
                tail: tail.clone(),
            },
        );
        outcome
    }
}

fn last_lines(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| !line.starts_with(RECORD_PREFIX) && !line.trim().is_empty())
        .map(|line| line.chars().take(400).collect())
        .collect();
    let excess = lines.len().saturating_sub(TAIL_LINES);
    lines.drain(..excess);
    lines
}
