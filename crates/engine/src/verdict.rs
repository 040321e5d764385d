//! The outcome of a round, from all that was told about it.

mod trouble;

use std::collections::BTreeMap;

use flagperf_model::{Cause, Limits, NodeName, Outcome, Stage, StepKind, Timestamp};
use flagperf_wire::ProcessEnd;

use trouble::Trouble;

/// How one process ended.
#[derive(Debug, Clone)]
pub(crate) struct Exit {
    pub(crate) node: NodeName,
    pub(crate) rank: u32,
    pub(crate) end: ProcessEnd,
    /// It was asked to, so its status says nothing.
    pub(crate) asked: bool,
    /// When, in the controller's time.
    pub(crate) at: Timestamp,
}

impl Exit {
    fn is_bad(&self) -> bool {
        !self.asked && self.end != ProcessEnd::Status(0)
    }
}

/// What a rank said about a failure of its own.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) node: NodeName,
    pub(crate) rank: u32,
    pub(crate) message: String,
    /// When it was heard.
    pub(crate) at: Timestamp,
}

/// Something that befell the round as a whole.
#[derive(Debug, Clone)]
pub(crate) enum Blow {
    /// A node is gone, for this reason.
    Lost(NodeName, String),
    /// The agent of a node refused the task, for this reason.
    Refused(NodeName, String),
    /// What the case needs on a node could not be made ready, for this reason.
    Unready(NodeName, String),
    /// The user wants to stop.
    Aborted,
    /// A node's task reached its timeout.
    TimedOut,
    /// A node's task stalled.
    Stalled(NodeName),
}

/// What was told about a round, as far as its outcome depends on it.
#[derive(Debug, Default)]
pub(crate) struct Story {
    exits: Vec<Exit>,
    failures: Vec<Failure>,
    /// What befell it, and when in the controller's time.
    blows: Vec<(Timestamp, Blow)>,
    unsupported: Option<String>,
    /// How many processes the kernel ended for lack of memory, by node.
    oom_kills: BTreeMap<NodeName, u64>,
    /// True once a process failed by itself.
    any_bad_exit: bool,
}

impl Story {
    pub(crate) fn exited(&mut self, exit: Exit) {
        self.any_bad_exit |= exit.is_bad();
        self.exits.push(exit);
    }

    pub(crate) fn failed(&mut self, failure: Failure) {
        self.failures.push(failure);
    }

    pub(crate) fn befell(&mut self, at: Timestamp, blow: Blow) {
        self.blows.push((at, blow));
    }

    pub(crate) fn out_of_memory(&mut self, node: &NodeName, killed: u64) {
        if killed > 0 {
            *self.oom_kills.entry(node.clone()).or_default() += killed;
        }
    }

    pub(crate) fn unsupported(&mut self, feature: String) {
        self.unsupported.get_or_insert(feature);
    }

    /// True if the round cannot pass any more.
    pub(crate) fn is_bad(&self) -> bool {
        self.any_bad_exit || !self.blows.is_empty()
    }
}

/// The outcome. What came first counts, by the controller's time: what is heard first may have happened
/// last. Where nothing went wrong: the case said that it cannot run here, a node that should have
/// reported anything did not (`silent` names one), passed.
pub(crate) fn verdict(
    story: &Story,
    limits: &Limits,
    silent: Option<NodeName>,
    ran: bool,
) -> Outcome {
    let blow = story.blows.iter().min_by_key(|(at, _)| *at);
    let troubles = Trouble::all(&story.exits, &story.failures);
    let trouble = troubles.iter().min_by_key(|trouble| trouble.at());
    match (blow, trouble) {
        (Some((at, blow)), trouble) if trouble.is_none_or(|trouble| *at <= trouble.at()) => {
            struck(blow, limits)
        }
        (_, Some(first)) => failed(story, &troubles, first),
        (_, None) => match (&story.unsupported, silent) {
            (Some(feature), _) => Outcome::Unsupported {
                feature: feature.clone(),
            },
            (None, None) if ran => Outcome::Passed,
            (None, Some(node)) => Outcome::Failed {
                node,
                stage: Stage::Parse,
                cause: Cause::NoResult,
                also: Vec::new(),
            },
            // A round without nodes has nothing to report.
            (None, None) => Outcome::NotRun,
        },
    }
}

fn struck(blow: &Blow, limits: &Limits) -> Outcome {
    match blow.clone() {
        Blow::Lost(node, reason) => Outcome::Lost { node, reason },
        Blow::Aborted => Outcome::Aborted,
        Blow::Refused(node, reason) => Outcome::Failed {
            node,
            stage: Stage::Launch,
            cause: Cause::Agent { reason },
            also: Vec::new(),
        },
        Blow::Unready(node, reason) => Outcome::Failed {
            node,
            stage: Stage::Launch,
            cause: Cause::Environment {
                step: StepKind::PrepareCase,
                reason,
            },
            also: Vec::new(),
        },
        Blow::TimedOut => Outcome::TimedOut {
            limit_s: limits.timeout_s,
        },
        Blow::Stalled(node) => Outcome::Stalled {
            node,
            limit_s: limits.stall_s,
        },
    }
}

fn failed(story: &Story, troubles: &[Trouble<'_>], first: &Trouble<'_>) -> Outcome {
    let lost = story.blows.iter().filter_map(|(_, blow)| match blow {
        Blow::Lost(node, _) => Some(node),
        _ => None,
    });
    let mut also: Vec<&NodeName> = troubles
        .iter()
        .filter(|trouble| trouble.is_its_own())
        .map(|trouble| trouble.node)
        .chain(lost)
        .filter(|node| *node != first.node)
        .collect();
    also.sort_unstable();
    also.dedup();
    let (stage, mut cause) = first.cause();
    if let Cause::Exit { rank, .. } | Cause::Signal { rank, .. } = cause
        && let Some(&killed) = story.oom_kills.get(first.node)
    {
        cause = Cause::OutOfMemory { rank, killed };
    }
    Outcome::Failed {
        also: also.into_iter().cloned().collect(),
        node: first.node.clone(),
        stage,
        cause,
    }
}

#[cfg(test)]
mod tests;
