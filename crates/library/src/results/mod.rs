//! What cases of FlagPerf trees print, suite by suite, and what the numbers in it mean.
//! `docs/results.md` shows every shape.

mod base;
mod decl;
mod inference;
mod lines;
mod literal;
mod names;
mod operation;
mod perf_log;
mod printed;
mod remark;
mod training;

use flagperf_model::{Measurement, MetricDecl, NodeName};

pub use base::BaseProgram;
pub use inference::Peaks;
pub(crate) use lines::read_lines;
pub(crate) use operation::heading;
pub(crate) use remark::ResultRemark;

use crate::Collected;
use crate::collector::MARK;
use crate::lines::Marks;
use inference::Inference;
use training::Training;

/// Most figures taken from one line with results, and most remarks about such lines. The richest known
/// has 17.
const MOST_KEYS: usize = 256;

/// How what a case prints is read, beside the records that any case may print.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Dialect {
    /// Classic result lines as they come: built-in cases, and cases of one's own.
    #[default]
    Plain,
    /// A case of suite base of a FlagPerf tree.
    Base {
        /// Name of the case, without vendor and chip: `computation-FP16`.
        case: String,
        /// Which of its programs runs.
        program: BaseProgram,
    },
    /// An operator of suite operation.
    Operation,
    /// A model of suite inference, on a chip with these nominal rates.
    Inference(Peaks),
    /// A model of suite training.
    Training {
        /// Name of the model: `llama2_7b`.
        model: String,
        /// In which of the two ways it reports.
        style: TrainingStyle,
    },
}

/// How a case of suite training reports. Either is read; it decides what is declared beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainingStyle {
    /// In the PerfLog: PyTorch, PaddlePaddle, TensorFlow.
    PerfLog,
    /// In printed lines: Megatron, DeepSpeed, FlagScale, and what starts its parts itself.
    Printed,
}

impl Dialect {
    /// The metrics that such a case may report, the primary one first; which of them it does report
    /// depends on the case. None for a plain case, which declares its own, and for an unknown one.
    pub fn metrics(&self) -> Vec<MetricDecl> {
        match self {
            Self::Plain => Vec::new(),
            Self::Base { case, program } => decl::declare(base::metrics(case, *program)),
            Self::Operation => decl::declare(operation::METRICS),
            Self::Inference(_) => decl::declare(inference::METRICS),
            Self::Training { style, .. } => decl::declare(match style {
                TrainingStyle::PerfLog => perf_log::METRICS,
                TrainingStyle::Printed => printed::METRICS,
            }),
        }
    }

    /// Which lines are of interest.
    pub(crate) fn marks(&self) -> Marks {
        match self {
            Self::Plain | Self::Base { .. } | Self::Operation => Marks {
                texts: &[MARK],
                before: false,
            },
            Self::Inference(_) => inference::MARKS,
            Self::Training { .. } => training::MARKS,
        }
    }

    /// True if what counts are classic result lines of a tree.
    pub(crate) fn is_tree_of_lines(&self) -> bool {
        matches!(self, Self::Base { .. } | Self::Operation)
    }
}

/// What was found in the end.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) numbers: Vec<(NodeName, Measurement)>,
    pub(crate) remarks: Vec<(NodeName, ResultRemark)>,
}

impl Found {
    fn take(&mut self, node: &NodeName, number: Result<Measurement, ResultRemark>) {
        match number {
            Ok(number) => self.numbers.push((node.clone(), number)),
            Err(remark) => self.remarks.push((node.clone(), remark)),
        }
    }
}

/// Reads the lines that are neither records nor classic result lines.
#[derive(Debug, Default)]
pub(crate) enum Reader {
    /// There are none of interest.
    #[default]
    None,
    Inference(Inference),
    Training(Training),
}

impl Reader {
    /// `spans` is true if the ranks of all nodes belong together.
    pub(crate) fn new(dialect: &Dialect, spans: bool) -> Self {
        match dialect {
            Dialect::Plain | Dialect::Base { .. } | Dialect::Operation => Self::None,
            Dialect::Inference(peaks) => Self::Inference(Inference::new(*peaks)),
            Dialect::Training { model, .. } => Self::Training(Training::new(model, spans)),
        }
    }

    /// Reads a line of a process, without its end.
    pub(crate) fn line(
        &mut self,
        node: &NodeName,
        rank: u32,
        line: &str,
        out: &mut Vec<Collected>,
    ) {
        match self {
            Self::None => {}
            Self::Inference(inference) => inference.line(node, rank, line, out),
            Self::Training(training) => training.line(node, rank, line, out),
        }
    }

    pub(crate) fn finish(self) -> Found {
        match self {
            Self::None => Found::default(),
            Self::Inference(inference) => inference.finish(),
            Self::Training(training) => training.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_declares_one_primary_metric() {
        let base = |program| Dialect::Base {
            case: "interconnect-MPI_intraserver".to_owned(),
            program,
        };
        let training = |style| Dialect::Training {
            model: "m".to_owned(),
            style,
        };
        for (dialect, primary, all) in [
            (
                base(BaseProgram::Benchmark),
                "interconnect-MPI_intraserver-bandwidth",
                1,
            ),
            (
                base(BaseProgram::Toolkit),
                "interconnect-MPI_intraserver-bandwidth",
                2,
            ),
            (Dialect::Operation, "cputime rate", 11),
            (Dialect::Inference(Peaks::default()), "p_inference_core", 10),
            (training(TrainingStyle::PerfLog), "throughput_raw", 41),
            (
                training(TrainingStyle::Printed),
                "tokens_per_chip_per_second",
                18,
            ),
        ] {
            let metrics = dialect.metrics();
            assert_eq!(metrics.len(), all, "{dialect:?}");
            let named = metrics.iter().filter(|metric| metric.primary);
            let named: Vec<&str> = named.map(|metric| metric.name.as_str()).collect();
            assert_eq!(named, [primary]);
            assert!(metrics.iter().all(|metric| !metric.definition.is_empty()));
        }
        assert_eq!(Dialect::default().metrics(), []);
    }
}
