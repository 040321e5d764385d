//! What the engine tells.

use flagperf_model::{Absent, Event, NodeName, PlannedCase, SampleBlock, SeriesDecl, StepKind};

/// Something the engine tells: what happened, and the bulk data that goes with it.
#[derive(Debug)]
pub enum Emission<'a> {
    /// Something happened.
    Event(&'a Event),
    /// A round of a case begins; its events, output and samples follow.
    CaseBegins(&'a PlannedCase),
    /// Output of a rank, as it came.
    Output {
        /// The node, by its place in the plan.
        node: usize,
        /// The rank.
        rank: u32,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// A part of the files that the running case left on a node, packed as `flagperf-archive` does.
    Files {
        /// The node, by its place in the plan.
        node: usize,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The files of a node are complete.
    FilesEnded {
        /// The node, by its place in the plan.
        node: usize,
    },
    /// The series that a container's monitors record, in the place of its node's.
    Series {
        /// The node.
        node: &'a NodeName,
        /// The series.
        series: &'a [SeriesDecl],
        /// The series it does not have, and why.
        absent: &'a [Absent],
    },
    /// What a step printed on a node.
    StepOutput {
        /// The node, by its place in the plan.
        node: usize,
        /// Which step.
        step: StepKind,
        /// For which group of rounds with the same container, from 1.
        group: u32,
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
}

/// Takes what the engine tells. It cannot fail: trouble of a consumer is its own to report, and
/// never changes a run.
pub trait Consumer {
    /// Takes one emission.
    fn take(&mut self, emission: &Emission<'_>);
}
