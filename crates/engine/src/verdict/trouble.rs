//! What one rank tells about its failure: how it ended, and in its own words.

use std::collections::BTreeMap;

use flagperf_model::{Cause, NodeName, Stage, Timestamp};
use flagperf_wire::ProcessEnd;

use super::{Exit, Failure};

/// The failure of one rank. Words of another rank are never taken for its own.
#[derive(Debug)]
pub(super) struct Trouble<'a> {
    pub(super) node: &'a NodeName,
    pub(super) rank: u32,
    /// Its end, if that was bad and its own doing.
    exit: Option<&'a Exit>,
    said: Option<&'a Failure>,
    /// True if it was asked to end: what it said may be an answer to that.
    asked: bool,
}

impl<'a> Trouble<'a> {
    /// The failures of all ranks that have one.
    pub(super) fn all(exits: &'a [Exit], failures: &'a [Failure]) -> Vec<Self> {
        let mut found: BTreeMap<(&NodeName, u32), Self> = BTreeMap::new();
        for failure in failures {
            let key = (&failure.node, failure.rank);
            let trouble = found.entry(key).or_insert_with(|| Self::none(key));
            trouble.said.get_or_insert(failure);
        }
        for exit in exits {
            let key = (&exit.node, exit.rank);
            if exit.is_bad() {
                let trouble = found.entry(key).or_insert_with(|| Self::none(key));
                trouble.exit = Some(exit);
            } else if let Some(trouble) = found.get_mut(&key) {
                trouble.asked = exit.asked;
            }
        }
        found.into_values().collect()
    }

    fn none((node, rank): (&'a NodeName, u32)) -> Self {
        Self {
            node,
            rank,
            exit: None,
            said: None,
            asked: false,
        }
    }

    /// When it was known at the latest.
    pub(super) fn at(&self) -> Timestamp {
        let exit = self.exit.map(|exit| exit.at);
        let said = self.said.map(|said| said.at);
        exit.into_iter().chain(said).min().unwrap_or_default()
    }

    /// True if it is not the answer to having been asked to end.
    pub(super) fn is_its_own(&self) -> bool {
        !self.asked
    }

    pub(super) fn cause(&self) -> (Stage, Cause) {
        let rank = self.rank;
        let end = self.exit.map(|exit| &exit.end);
        // What a rank says about its failure tells more than its exit status, but a signal means that
        // it did not get to say everything.
        let cause = match (end, self.said) {
            (Some(ProcessEnd::NotStarted { program, reason }), _) => {
                let cause = Cause::Spawn {
                    rank,
                    program: program.clone(),
                    reason: reason.clone(),
                };
                return (Stage::Launch, cause);
            }
            (Some(ProcessEnd::Signal(signal)), _) => Cause::Signal {
                rank,
                signal: *signal,
            },
            (_, Some(said)) => Cause::Reported {
                rank,
                message: said.message.clone(),
            },
            (Some(ProcessEnd::Status(status)), None) => Cause::Exit {
                rank,
                status: *status,
            },
            // There is none without either.
            (None, None) => Cause::NoResult,
        };
        (Stage::Run, cause)
    }
}
