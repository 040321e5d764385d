//! From events to the record of a run. The recorder folds events as they happen, the reader folds
//! them again when `run.json` is damaged: both come to the same record.

use std::collections::HashSet;

use flagperf_model::{
    CaseName, CaseResult, Event, EventKind, NodeName, NodeRecord, Outcome, Phase, PlannedCase,
    RunRecord, RunState, StepKind, StepRecord, Timestamp, Window,
};

/// Why a round is lost that has a beginning and no end.
pub(crate) const CUT_OFF: &str = "the record ends while the case ran";

/// What events say that has not reached the record yet: the round of a case that is running.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    open: Option<Open>,
    /// When the last event came; the moment of a phase is the case's own word.
    last: Timestamp,
}

/// A round of a case between its start and its end.
#[derive(Debug)]
struct Open {
    result: CaseResult,
    /// Ranks that are measuring.
    measuring: HashSet<(NodeName, u32)>,
    /// What was noted: every rank notes the same things, and there may be thousands.
    noted: HashSet<(NodeName, String, String)>,
    /// When ranks began to measure.
    begins: Vec<Timestamp>,
    /// When ranks that measured went on to another phase.
    ends: Vec<Timestamp>,
}

/// Name of the file in a task's directory with what its setup commands printed.
const SETUP_LOG: &str = "setup.log.txt";

/// The file with what a step printed on a node, relative to the run directory. `open` is the round that runs, as the
/// plan has it.
pub(crate) fn step_log(
    node: &NodeName,
    rank: u32,
    step: StepKind,
    group: u32,
    open: Option<&PlannedCase>,
) -> String {
    let of_task = || open?.tasks.iter().find(|task| task.node_rank == rank);
    let place = match step {
        StepKind::PrepareCase => of_task().map(|task| format!("{}/{SETUP_LOG}", task.directory)),
        _ => None,
    };
    // Most runs have one group, and the classic place.
    let group = match group {
        1 => String::new(),
        group => format!("group{group}/"),
    };
    place.unwrap_or_else(|| format!("container/{group}{node}_noderank{rank}/{}.log", step.slug()))
}

/// A round in the plan of a record.
pub(crate) fn planned<'a>(
    record: &'a RunRecord,
    case: &CaseName,
    round: u32,
) -> Option<&'a PlannedCase> {
    let mut cases = record.plan.cases.iter();
    cases.find(|planned| planned.name() == case && planned.round == round)
}

impl Fold {
    /// Brings a record up to date. Returns the place of the result of a case that ended.
    pub(crate) fn apply(&mut self, record: &mut RunRecord, event: &Event) -> Option<usize> {
        let before = self.last;
        if !matches!(event.what, EventKind::Phase { .. }) {
            self.last = event.at;
        }
        match &event.what {
            EventKind::NodeReady {
                node, facts, clock, ..
            } => {
                let node = node_of(record, node);
                node.facts = Some((**facts).clone());
                node.clock = Some(*clock);
                node.bad = None;
            }
            EventKind::NodeBad(bad) => {
                node_of(record, &bad.node).bad = Some(bad.clone());
            }
            EventKind::NodeLost { node, reason } => {
                warn(record, format!("node {node} was lost: {reason}"));
            }
            EventKind::CaseStarted { case, round, .. } => {
                // What an earlier attempt came to gives way to this one.
                let same = |known: &CaseResult| known.case == *case && known.round == *round;
                record.results.retain(|result| !same(result));
                self.open = Some(Open::new(case, *round, event.at));
            }
            EventKind::TaskStarted { case, round, skew } => {
                if let Some(result) = self.result(record, case, Some(*round)) {
                    result.start_skew = Some(skew.clone());
                }
            }
            EventKind::Collected {
                case,
                node,
                files,
                bytes,
            } => {
                if let Some(result) = self.result(record, case, None) {
                    result.collected.push((node.clone(), *files, *bytes));
                }
            }
            EventKind::Phase {
                case,
                node,
                rank,
                phase,
            } => {
                if let Some(open) = self.open_case(case) {
                    open.phase(node, *rank, *phase, event.at);
                }
            }
            EventKind::Note {
                case,
                node,
                key,
                value,
                ..
            } => {
                let note = (node.clone(), key.clone(), value.clone());
                // Every rank notes the same things; a table wants them once.
                if let Some(open) = self.open_case(case) {
                    if open.noted.insert(note.clone()) {
                        open.result.notes.push(note);
                    }
                } else if let Some(result) = self.result(record, case, None)
                    && !result.notes.contains(&note)
                {
                    result.notes.push(note);
                }
            }
            EventKind::Measured {
                case,
                round,
                node,
                measurement,
            } => {
                if let Some(result) = self.result(record, case, Some(*round)) {
                    result
                        .measurements
                        .push((node.clone(), (**measurement).clone()));
                }
            }
            EventKind::MonitorStopped { case, node, cost } => {
                if let Some(result) = self.result(record, case, None) {
                    result.monitor_cost.push((node.clone(), *cost));
                }
            }
            EventKind::CaseEnded {
                case,
                round,
                outcome,
                seconds,
                tail,
            } => {
                let open = self
                    .open
                    .take_if(|open| open.result.case == *case && open.result.round == *round);
                let same = |known: &CaseResult| known.case == *case && known.round == *round;
                let known = record.results.iter().position(same);
                // That an attempt did not come to it is no news about a round that has run before.
                if open.is_none()
                    && !has_run(outcome)
                    && known.is_some_and(|place| has_run(&record.results[place].outcome))
                {
                    return None;
                }
                let open = open.unwrap_or_else(|| {
                    Open::new(case, *round, event.at.plus_nanos((-seconds * 1e9) as i64))
                });
                let mut result = open.close(event.at);
                result.outcome = outcome.clone();
                result.tail.clone_from(tail);
                // A round that was told before has its new result where the old one was.
                let place = known.unwrap_or(record.results.len());
                match record.results.get_mut(place) {
                    Some(old) => *old = result,
                    None => record.results.push(result),
                }
                return Some(place);
            }
            EventKind::StrayProcesses {
                case,
                node,
                commands,
            } => warn(
                record,
                format!(
                    "{case} left processes behind on {node}, which were ended: {}",
                    commands.join(", ")
                ),
            ),
            EventKind::StepEnded {
                step,
                group,
                node,
                outcome,
                seconds,
                printed,
            } => {
                let rank = node_of(record, node).rank;
                let open = self.open.as_ref().map(|open| &open.result);
                let log = printed.then(|| {
                    let open = open.and_then(|open| planned(record, &open.case, open.round));
                    step_log(node, rank, *step, *group, open)
                });
                let case = open
                    .filter(|_| *step == StepKind::PrepareCase)
                    .map(|open| open.case.clone());
                node_of(record, node).steps.push(StepRecord {
                    step: *step,
                    group: *group,
                    case,
                    seconds: *seconds,
                    outcome: outcome.clone(),
                    log,
                });
            }
            EventKind::Warning { message } => warn(record, message.clone()),
            EventKind::Interrupted { .. } => record.state = RunState::Interrupted,
            EventKind::RunEnded { .. } => {
                record.ended = Some(event.at);
                if record.state == RunState::Running {
                    record.state = RunState::Finished;
                }
            }
            EventKind::RunResumed { .. } => {
                // What had failed stays until it runs again.
                if let Some(cut_off) = self.cut_off(record, before) {
                    record.results.push(cut_off);
                }
                record.ended = None;
                record.state = RunState::Running;
            }
            EventKind::RunStarted { .. }
            | EventKind::StepStarted { .. }
            | EventKind::NodeSilent { .. }
            | EventKind::NodeBack { .. }
            | EventKind::Live { .. } => {}
        }
        None
    }

    /// The round of a case that had begun and not ended when events stopped, as far as it is known.
    /// It was lost with the first of the nodes; absent also if no node is known.
    pub(crate) fn unfinished(&mut self, record: &RunRecord) -> Option<CaseResult> {
        self.cut_off(record, self.last)
    }

    fn cut_off(&mut self, record: &RunRecord, at: Timestamp) -> Option<CaseResult> {
        let mut result = self.open.take()?.close(at);
        result.outcome = Outcome::Lost {
            node: record.nodes.first()?.name.clone(),
            reason: CUT_OFF.to_owned(),
        };
        Some(result)
    }

    fn open_case(&mut self, case: &CaseName) -> Option<&mut Open> {
        self.open.as_mut().filter(|open| open.result.case == *case)
    }

    /// The running round of a case, or the last one that ended: monitors may stop after the case.
    fn result<'a>(
        &'a mut self,
        record: &'a mut RunRecord,
        case: &CaseName,
        round: Option<u32>,
    ) -> Option<&'a mut CaseResult> {
        let fits = |result: &CaseResult| {
            result.case == *case && round.is_none_or(|round| round == result.round)
        };
        match &mut self.open {
            Some(open) if fits(&open.result) => Some(&mut open.result),
            _ => record.results.iter_mut().rev().find(|result| fits(result)),
        }
    }
}

/// False if nothing was started.
fn has_run(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::NotRun | Outcome::Skipped { .. })
}

impl Open {
    fn new(case: &CaseName, round: u32, started: Timestamp) -> Self {
        Self {
            result: CaseResult {
                case: case.clone(),
                round,
                outcome: Outcome::NotRun,
                started,
                ended: started,
                window: None,
                directories: Vec::new(),
                measurements: Vec::new(),
                result_lines: Vec::new(),
                notes: Vec::new(),
                monitor_cost: Vec::new(),
                tail: Vec::new(),
                start_skew: None,
                collected: Vec::new(),
            },
            measuring: HashSet::new(),
            noted: HashSet::new(),
            begins: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// The measured window opens when the first rank begins to measure and closes when the last
    /// one enters the phase after it.
    fn phase(&mut self, node: &NodeName, rank: u32, phase: Phase, at: Timestamp) {
        let who = (node.clone(), rank);
        if phase == Phase::Measure {
            if self.measuring.insert(who) {
                self.begins.push(at);
            }
        } else if self.measuring.remove(&who) {
            self.ends.push(at);
        }
    }

    fn close(mut self, at: Timestamp) -> CaseResult {
        // A rank that was ended while it measured did measure until then.
        if !self.measuring.is_empty() {
            self.ends.push(at);
        }
        self.result.ended = at;
        self.result.window = self.window();
        self.result
    }

    /// The window, which lies inside the case and is not empty.
    ///
    /// The moments of phases are the only ones that a case itself names, so that they may be any.
    /// One outside the case counts only where no other tells the same thing, and then as the
    /// nearest moment of the case: a clock that is off by a little still gives a window.
    fn window(&self) -> Option<Window> {
        let (started, ended) = (self.result.started, self.result.ended);
        let inside = |moment: &Timestamp| (started..=ended).contains(moment);
        let nearest = |moment: Timestamp| moment.min(ended).max(started);
        let (begins, ends) = (self.begins.iter().copied(), self.ends.iter().copied());
        let begin = begins
            .clone()
            .filter(inside)
            .min()
            .or_else(|| begins.min())?;
        let end = ends.clone().filter(inside).max().or_else(|| ends.max())?;
        let (begin, end) = (nearest(begin), nearest(end));
        (begin < end).then_some(Window { begin, end })
    }
}

/// The record of a node; one that the plan did not name is added.
pub(crate) fn node_of<'a>(record: &'a mut RunRecord, name: &NodeName) -> &'a mut NodeRecord {
    let place = record
        .nodes
        .iter()
        .position(|node| node.name == *name)
        .unwrap_or_else(|| {
            record.nodes.push(NodeRecord {
                name: name.clone(),
                rank: record.nodes.len() as u32,
                facts: None,
                clock: None,
                bad: None,
                steps: Vec::new(),
                series: Vec::new(),
                absent: Vec::new(),
            });
            record.nodes.len() - 1
        });
    &mut record.nodes[place]
}

/// The same where the node's place in the list is known, which is looked at first: asked for each of
/// thousands of nodes, a search would cost their number squared.
pub(crate) fn node_at<'a>(
    record: &'a mut RunRecord,
    name: &NodeName,
    rank: u32,
) -> &'a mut NodeRecord {
    let place = rank as usize;
    let known = record.nodes.get(place);
    if known.is_some_and(|node| node.name == *name) {
        return &mut record.nodes[place];
    }
    node_of(record, name)
}

/// Adds a warning once.
pub(crate) fn warn(record: &mut RunRecord, text: String) {
    if !record.warnings.contains(&text) {
        record.warnings.push(text);
    }
}
