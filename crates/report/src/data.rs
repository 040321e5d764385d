//! The input of every report: a run's record and its samples.

use flagperf_model::{RunRecord, SampleBlock, SeriesDecl, Timestamp};

use crate::Series;

/// A run as reports need it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunData {
    /// The record.
    pub record: RunRecord,
    /// What a damaged run directory no longer holds, in words, one item a finding.
    pub missing: Vec<String>,
    /// The samples, for the results that have any.
    pub samples: Vec<CaseSamples>,
}

/// What the monitors of one node recorded while one round of a case ran.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseSamples {
    /// Which of `record.results` they belong to.
    pub result_index: usize,
    /// The node's name.
    pub node: String,
    /// What each column of `block` is.
    pub decls: Vec<SeriesDecl>,
    /// The samples.
    pub block: SampleBlock,
    /// Those of the chips, at moments of their own.
    pub chips: ChipSamples,
}

/// What was recorded of the chips of a node meanwhile; nothing on one without chips.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChipSamples {
    /// What each column of `block` is.
    pub decls: Vec<SeriesDecl>,
    /// The samples.
    pub block: SampleBlock,
}

impl RunData {
    /// The samples of one result, one item a node.
    pub fn samples_of(&self, result_index: usize) -> impl Iterator<Item = &CaseSamples> {
        self.samples
            .iter()
            .filter(move |samples| samples.result_index == result_index)
    }

    /// Logical processors of a node, where its facts are known.
    pub(crate) fn threads_of(&self, node: &str) -> Option<u32> {
        self.record
            .nodes
            .iter()
            .find(|record| record.name.as_str() == node)
            .and_then(|record| record.facts.as_ref())
            .map(|facts| facts.cpu.threads)
            .filter(|threads| *threads > 0)
    }
}

impl CaseSamples {
    /// Each series with its column. A declaration without a column, or a column without a
    /// declaration, is left out: nothing can be said about it.
    pub fn series(&self) -> impl Iterator<Item = Series<'_>> {
        of(&self.decls, &self.block).chain(of(&self.chips.decls, &self.chips.block))
    }

    /// The first and the last moment at which anything was sampled, of the machine and of its chips.
    pub(crate) fn ends(&self) -> impl Iterator<Item = Timestamp> {
        [&self.block, &self.chips.block]
            .into_iter()
            .flat_map(|block| [block.times.first(), block.times.last()])
            .flatten()
            .copied()
    }
}

fn of<'a>(decls: &'a [SeriesDecl], block: &'a SampleBlock) -> impl Iterator<Item = Series<'a>> {
    decls
        .iter()
        .zip(&block.columns)
        .map(|(decl, column)| Series {
            decl,
            times: &block.times,
            column,
        })
}
