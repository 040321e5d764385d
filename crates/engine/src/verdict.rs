//! The outcome of a round, from all that was told about it.

use std::collections::BTreeSet;

use flagperf_model::{Cause, Limits, NodeName, Outcome, Stage, Timestamp};
use flagperf_wire::ProcessEnd;

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

/// What was told about a round, as far as its outcome depends on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Story {
    pub(crate) exits: Vec<Exit>,
    pub(crate) lost: Option<(NodeName, String)>,
    pub(crate) refused: Option<(NodeName, String)>,
    pub(crate) aborted: bool,
    pub(crate) timed_out: bool,
    pub(crate) stalled: Option<NodeName>,
    pub(crate) unsupported: Option<String>,
    pub(crate) failures: Vec<(NodeName, u32, String)>,
}

impl Story {
    /// True if the round cannot pass any more.
    pub(crate) fn is_bad(&self) -> bool {
        self.lost.is_some()
            || self.refused.is_some()
            || self.timed_out
            || self.stalled.is_some()
            || self.first_bad_exit().is_some()
    }

    /// Which failed first, by the clocks of the nodes: what is heard first may have happened last.
    fn first_bad_exit(&self) -> Option<&Exit> {
        self.bad_exits().min_by_key(|exit| exit.at)
    }

    fn bad_exits(&self) -> impl Iterator<Item = &Exit> {
        self.exits
            .iter()
            .filter(|exit| !exit.asked && exit.end != ProcessEnd::Status(0))
    }

    /// Nodes other than `first` on which it failed by itself.
    fn also(&self, first: &NodeName) -> Vec<NodeName> {
        let nodes: BTreeSet<&NodeName> = self
            .bad_exits()
            .map(|exit| &exit.node)
            .chain(self.failures.iter().map(|(node, _, _)| node))
            .filter(|node| *node != first)
            .collect();
        nodes.into_iter().cloned().collect()
    }
}

/// The outcome. The first of these that holds: a node was lost, the user stopped it, the agent
/// refused, a bound was reached, a process failed, the case said that it cannot run here or that it
/// failed, a node that should have reported anything did not (`silent` names one), passed.
pub(crate) fn verdict(
    story: &Story,
    limits: &Limits,
    silent: Option<NodeName>,
    ran: bool,
) -> Outcome {
    if let Some((node, reason)) = story.lost.clone() {
        return Outcome::Lost { node, reason };
    }
    if story.aborted {
        return Outcome::Aborted;
    }
    if let Some((node, reason)) = story.refused.clone() {
        return Outcome::Failed {
            node,
            stage: Stage::Launch,
            cause: Cause::Agent { reason },
            also: Vec::new(),
        };
    }
    if story.timed_out {
        return Outcome::TimedOut {
            limit_s: limits.timeout_s,
        };
    }
    if let Some(node) = story.stalled.clone() {
        return Outcome::Stalled {
            node,
            limit_s: limits.stall_s,
        };
    }
    let exit = story.first_bad_exit();
    // What a rank says about its failure tells more than its exit status, but a signal means that
    // it did not get to say everything.
    let said = story.failures.first().cloned();
    match (exit, said) {
        (Some(exit), said) => {
            let rank = exit.rank;
            let (stage, cause) = match (&exit.end, said) {
                (ProcessEnd::NotStarted { program, reason }, _) => (
                    Stage::Launch,
                    Cause::Spawn {
                        rank,
                        program: program.clone(),
                        reason: reason.clone(),
                    },
                ),
                (ProcessEnd::Signal(signal), _) => (
                    Stage::Run,
                    Cause::Signal {
                        rank,
                        signal: *signal,
                    },
                ),
                (ProcessEnd::Status(_), Some((_, rank, message))) => {
                    (Stage::Run, Cause::Reported { rank, message })
                }
                (ProcessEnd::Status(status), None) => (
                    Stage::Run,
                    Cause::Exit {
                        rank,
                        status: *status,
                    },
                ),
            };
            Outcome::Failed {
                also: story.also(&exit.node),
                node: exit.node.clone(),
                stage,
                cause,
            }
        }
        (None, Some((node, rank, message))) => Outcome::Failed {
            also: story.also(&node),
            node,
            stage: Stage::Run,
            cause: Cause::Reported { rank, message },
        },
        (None, None) => match (&story.unsupported, silent) {
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
