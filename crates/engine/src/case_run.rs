//! One round of one case on all its nodes, from the start of its monitors to its verdict.
//!
//! ```text
//! prepare on every node ──► start on all at one moment ──► until every task has ended
//!     ──► fetch the files they left ──► monitors off ──► verdict
//! ```
//!
//! In a case that spans its nodes one rank's failure ends all; otherwise nodes do not concern each other.

mod fetch;
mod hear;
mod prepare;
mod stages;

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use flagperf_library::Collector;
use flagperf_model::{Cause, EventKind, NodeScope, NodeTask, Outcome, PlannedCase, Timestamp};
use flagperf_transport::now;
use flagperf_wire::{Opener, TaskId, ToAgent};
use tokio::time::{Instant, sleep_until};

use crate::active::{Active, common_task};
use crate::context::{Context, Incoming};
use crate::round::Unready;
use crate::tail::Tails;
use crate::verdict::{Blow, Story, verdict};
use hear::Begun;
use stages::{Stage, Stages};

/// The agent ends a task that reaches its bounds. When it has not told the end this long after the
/// latest of them, the node is taken for lost.
const BACKSTOP: Duration = Duration::from_mins(1);

/// When the user has asked to stop, a node that is silent is given up this long after its agent had to end the task.
const SILENT: Duration = Duration::from_secs(5);

/// How long the end of a task is awaited after the user asked a second time.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Time between the order to start and the start beside what messages take, for each node: writing
/// an order takes some microseconds, and an agent must be awake before its moment.
const LEAD: Duration = Duration::from_millis(2);

/// See [`LEAD`].
const LEAD_EACH: Duration = Duration::from_micros(20);

/// A round while it runs.
pub(crate) struct CaseRun<'a, 'c> {
    context: &'a mut Context<'c>,
    case: &'a PlannedCase,
    /// True if one task spans all its nodes.
    spans: bool,
    started: Timestamp,
    task: TaskId,
    /// What is to run on each node, by place; absent where the case does not run.
    tasks: Vec<Option<&'a NodeTask>>,
    nodes: Vec<NodeState>,
    stages: Stages,
    /// Nodes that sample.
    sampling: HashSet<usize>,
    /// Nodes with files to fetch, and whose turn has not come.
    to_fetch: VecDeque<usize>,
    begun: Begun,
    collector: Collector,
    story: Story,
    /// True once the user has stopped this round.
    aborted: bool,
    /// True once all nodes have been asked to end the task.
    ending: bool,
    /// When nodes that are silent are given up, because the user asked to stop.
    give_up_at: Option<Instant>,
    /// True once that moment is over.
    gives_up: bool,
    tails: Tails,
    files_moved: Instant,
    opener: Opener,
}

/// What else is known of a node of this round.
struct NodeState {
    /// When it last got any further with making ready.
    progressed: Instant,
    /// True while nothing is heard from it.
    silent: bool,
    /// What to add to the node's own time, in nanoseconds. Fixed for the round, so that its samples
    /// stay in order.
    correction_ns: i64,
}

impl<'a, 'c> CaseRun<'a, 'c> {
    /// Takes over a round that has begun. On the nodes that are not ready nothing is started.
    pub(crate) fn new(
        context: &'a mut Context<'c>,
        case: &'a PlannedCase,
        started: Timestamp,
        unready: Vec<Unready>,
    ) -> Self {
        let task = common_task(&mut context.nodes);
        let nodes = context.nodes.iter().map(|node| NodeState {
            progressed: Instant::now(),
            silent: false,
            correction_ns: (-node.node.session.clock().ahead_s * 1e9) as i64,
        });
        let mut tails = Tails::new(context.nodes.len());
        let mut tasks = vec![None; context.nodes.len()];
        for planned in &case.tasks {
            if let Some(place) = context.places.get(&planned.node) {
                tasks[*place] = Some(planned);
            }
        }
        let mut story = Story::default();
        for Unready { node, reason, tail } in unready {
            if let Some(place) = context.places.get(&node) {
                tasks[*place] = None;
                tails.add(*place, (tail.join("\n") + "\n").as_bytes());
            }
            story.befell(now(), Blow::Unready(node, reason));
        }
        Self {
            nodes: nodes.collect(),
            stages: Stages::new(context.nodes.iter().map(|node| node.lost.is_some())),
            context,
            case,
            spans: case.spec.nodes == NodeScope::All,
            started,
            task,
            tasks,
            sampling: HashSet::new(),
            to_fetch: VecDeque::new(),
            begun: Begun::default(),
            collector: Collector::new(case),
            story,
            aborted: false,
            ending: false,
            give_up_at: None,
            gives_up: false,
            tails,
            files_moved: Instant::now(),
            opener: Opener::default(),
        }
    }

    /// Starts the round and sees it through.
    pub(crate) async fn await_end(mut self) -> Outcome {
        self.prepare();
        self.await_prepared().await;
        if self.is_off() {
            self.skip_to_done();
        } else {
            self.launch();
        }
        let bound = self.case.limits.timeout_s + self.case.limits.grace_s;
        let deadline = Instant::now() + seconds(bound) + BACKSTOP;
        let is_running = |run: &Self| run.stages.any_before_the_end();
        if !self.hear_while(deadline, is_running).await && !self.context.is_urgent() {
            let reason =
                format!("its agent did not tell the end of a task that was due after {bound} s");
            for place in self.stages.at(Stage::Running) {
                self.lose(place, now(), reason.clone());
            }
        }
        if self.context.is_urgent() {
            self.files_are_incomplete("the user asked to stop at once");
        } else {
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
            let wake = self.give_up_at.map_or(deadline, |at| at.min(deadline));
            let incoming = tokio::select! {
                incoming = self.context.next() => Some(incoming),
                () = sleep_until(wake) => None,
            };
            match incoming {
                Some(Incoming::Interrupt) => {
                    self.context.heard_interrupt();
                    // A task that has ended everywhere has its result, whatever comes of its files.
                    if self.stages.any_before_the_end() {
                        self.aborted = true;
                        self.story.befell(now(), Blow::Aborted);
                    }
                    let at_once = self.context.is_urgent();
                    self.end_task(at_once);
                    if !self.gives_up {
                        let grace = seconds(self.case.limits.grace_s) + SILENT;
                        self.give_up_at.get_or_insert(Instant::now() + grace);
                    }
                    if at_once {
                        deadline = deadline.min(Instant::now() + AT_ONCE);
                    }
                }
                Some(Incoming::Agent(node, event)) => self.hear(node, event),
                None if wake < deadline => {
                    self.give_up_at = None;
                    self.gives_up = true;
                    for place in self.stages.at(Stage::Running) {
                        self.give_up_if_silent(place);
                    }
                }
                None => return false,
            }
        }
        true
    }

    /// A node whose task should have ended, and from which nothing is heard, is waited for no longer.
    fn give_up_if_silent(&mut self, place: usize) {
        if self.gives_up && self.nodes[place].silent && self.stages.is(place, Stage::Running) {
            let reason = "nothing was heard from it when the task was to end".to_owned();
            self.lose(place, now(), reason);
        }
    }

    /// Tells all nodes to start at one moment, far enough ahead that the order has reached each.
    fn launch(&mut self) {
        let ready = self.stages.at(Stage::Prepared);
        // All that takes its time comes before the moment is chosen.
        let orders: Vec<_> = ready
            .iter()
            .filter_map(|place| Some((*place, self.tasks[*place]?.processes.clone())))
            .collect();
        let slowest = ready
            .iter()
            .map(|place| {
                self.context.nodes[*place]
                    .node
                    .session
                    .clock()
                    .uncertainty_s
            })
            .fold(0.0, f64::max);
        // A message takes half of a round trip, which is what the uncertainty is; the network may be
        // four times slower than at its best.
        let lead = Duration::from_secs_f64((4.0 * slowest).min(1.0))
            + LEAD
            + LEAD_EACH * ready.len() as u32;
        let moment = now().plus_nanos(lead.as_nanos() as i64);
        for (place, processes) in orders {
            let session = &self.context.nodes[place].node.session;
            session.send(ToAgent::Run {
                task: self.task,
                processes,
                limits: self.case.limits,
                start_at: if ready.len() > 1 {
                    session.mono_ns(moment)
                } else {
                    0
                },
            });
            self.stages.set(place, Stage::Running);
        }
    }

    fn skip_to_done(&mut self) {
        for place in 0..self.stages.len() {
            if self
                .stages
                .get(place)
                .is_some_and(|stage| stage < Stage::Ended)
            {
                self.stages.set(place, Stage::Done);
                self.stop_monitor(place);
            }
        }
    }

    fn stop_monitor(&self, place: usize) {
        let stop = ToAgent::MonitorStop { task: self.task };
        self.context.nodes[place].node.session.send(stop);
    }

    fn end_task(&mut self, kill: bool) {
        self.ending = true;
        let task = self.task;
        for place in self.stages.at(Stage::Running) {
            let session = &self.context.nodes[place].node.session;
            session.send(ToAgent::End { task, kill });
        }
    }

    /// On other nodes the task may wait for ranks that will not come.
    fn end_others(&mut self) {
        if self.spans && !self.ending {
            self.end_task(false);
        }
    }

    fn lose(&mut self, node: usize, since: Timestamp, reason: String) {
        // A node that has done its part does not take that back by leaving.
        if self
            .stages
            .lose(node)
            .is_some_and(|stage| stage < Stage::Ended)
        {
            let name = self.context.nodes[node].name().clone();
            self.story.befell(since, Blow::Lost(name, reason.clone()));
        }
        self.sampling.remove(&node);
        self.context.lose(node, reason);
        self.end_others();
    }

    fn conclude(mut self) -> Outcome {
        let (last, summary) =
            std::mem::replace(&mut self.collector, Collector::new(self.case)).finish();
        for (name, collected) in last {
            if let Some(node) = self.context.places.get(&name).copied() {
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
        // A task that spans its nodes speaks for all of them, whichever of its ranks prints.
        let mut tasks = self.case.tasks.iter();
        let silent = if self.spans {
            tasks.next().filter(|_| summary.reporters.is_empty())
        } else {
            tasks.find(|task| !summary.reporters.contains(&task.node))
        };
        let silent = silent.map(|task| {
            let mut blank = summary.blank.iter();
            let blank = blank.find(|(name, _)| self.spans || **name == task.node);
            let cause = match blank {
                Some((_, metric)) => Cause::NoNumber {
                    metric: metric.clone(),
                },
                None => Cause::NoResult,
            };
            (task.node.clone(), cause)
        });
        let ran = !self.case.tasks.is_empty();
        let outcome = verdict(&self.story, &self.case.limits, silent, ran);
        let names = self.context.nodes.iter().map(Active::name);
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

/// A number of seconds as a duration that can be added to any `Instant`: at most ten years.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.clamp(0.0, 315_360_000.0)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
