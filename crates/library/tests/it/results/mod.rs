//! What cases of FlagPerf trees print, read through the collector: a test for every shape.

mod base;
mod inference;
mod operation;
mod training;
mod tree;

use flagperf_library::{Collected, Collector, Dialect, Summary};
use flagperf_model::{CaseName, CaseSpec, Measurement, NodeName, NodeScope};

use crate::collector::{node, planned, spec};

pub(super) fn second() -> NodeName {
    NodeName::new("node2").unwrap()
}

/// A case of this name whose ranks span its nodes.
fn tree_case(name: &str) -> CaseSpec {
    CaseSpec {
        name: CaseName::new(name).unwrap(),
        nodes: NodeScope::All,
        metrics: Vec::new(),
        ..spec("computation-FP64")
    }
}

/// What comes of output: node, rank of the process, text.
pub(super) fn read(
    dialect: &Dialect,
    output: &[(NodeName, u32, &str)],
) -> (Vec<Collected>, Summary) {
    let mut collector = Collector::reading(&planned(&tree_case("case")), dialect.clone());
    let mut collected = Vec::new();
    for (node, rank, text) in output {
        collected.extend(collector.feed(node, *rank, text.as_bytes()));
    }
    let (last, summary) = collector.finish();
    collected.extend(last.into_iter().map(|(_, one)| one));
    (collected, summary)
}

/// What comes of the output of one process.
pub(super) fn summary(dialect: &Dialect, text: &str) -> Summary {
    read(dialect, &[(node(), 0, text)]).1
}

/// Metric, value and unit of each number.
pub(super) fn numbers(summary: &Summary) -> Vec<(&str, f64, &str)> {
    let numbers = summary.measurements.iter();
    numbers
        .map(|(_, number)| (number.metric.as_str(), number.value, number.unit.as_str()))
        .collect()
}

/// The only number.
pub(super) fn only(summary: &Summary) -> &Measurement {
    match &summary.measurements[..] {
        [(_, number)] => number,
        _ => panic!("{summary:?}"),
    }
}
