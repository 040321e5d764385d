//! What the engine tells.

use flagperf_model::{CaseResult, Event, PlannedCase, SampleBlock, Timestamp};

/// Something the engine tells: what happened, and the bulk data that goes with it.
#[derive(Debug)]
pub enum Emission<'a> {
    /// Something happened.
    Event(&'a Event),
    /// A round of a case begins; its output and samples follow.
    CaseBegins {
        /// The round.
        case: &'a PlannedCase,
        /// When.
        at: Timestamp,
    },
    /// Output of a rank, as it came.
    Output {
        /// The node, by its place in the plan.
        node: usize,
        /// The rank.
        rank: u32,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// Samples of a node.
    Samples {
        /// The node, by its place in the plan.
        node: usize,
        /// The samples, in the order of the node's declared series.
        block: &'a SampleBlock,
    },
    /// A round of a case is over, and this is all about it.
    CaseResult(&'a CaseResult),
}

/// Takes what the engine tells. It cannot fail: trouble of a consumer is its own to report, and
/// never changes a run.
pub trait Consumer {
    /// Takes one emission.
    fn take(&mut self, emission: &Emission<'_>);
}
