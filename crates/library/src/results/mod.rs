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

use flagperf_model::{Entry, Measurement, MetricDecl, NodeName, StartProgram, TreeProgram};

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

/// The model for PyTorch that prints what others write to the PerfLog.
const PRINTS: &str = "llama2_7b_finetune";

impl Dialect {
    /// That of a case.
    pub fn of(entry: &Entry) -> Self {
        let Entry::Tree(tree) = entry else {
            return Self::Plain;
        };
        let base = |program| Self::Base {
            case: tree.case.clone(),
            program,
        };
        let training = |style| Self::Training {
            model: tree.case.clone(),
            style,
        };
        match &tree.program {
            TreeProgram::Benchmark => base(BaseProgram::Benchmark),
            TreeProgram::Toolkit => base(BaseProgram::Toolkit),
            TreeProgram::Operation { .. } => Self::Operation,
            TreeProgram::Inference { .. } => Self::Inference(Peaks::of_case(tree)),
            TreeProgram::Training { start, .. } => training(match start {
                StartProgram::Pytorch if tree.case == PRINTS => TrainingStyle::Printed,
                StartProgram::Pytorch
                | StartProgram::Paddle
                | StartProgram::Tensorflow2
                | StartProgram::Mindspore => TrainingStyle::PerfLog,
                StartProgram::Megatron
                | StartProgram::MegatronDeepspeed
                | StartProgram::Flagscale
                | StartProgram::Deepspeed
                | StartProgram::DeepspeedTorch => TrainingStyle::Printed,
            }),
            TreeProgram::InContainer | TreeProgram::InCluster => training(TrainingStyle::Printed),
        }
    }

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
    use flagperf_model::{PrivateCopy, TreeCase, TreeFiles};

    fn entry(case: &str, program: TreeProgram) -> Entry {
        Entry::Tree(Box::new(TreeCase {
            suite_directory: "/t/training".to_owned(),
            case: case.to_owned(),
            vendor: "nvidia".to_owned(),
            chip: None,
            framework: String::new(),
            program,
            nproc: 8,
            nnodes: 1,
            pip_source: None,
            files: TreeFiles::default(),
            env: std::collections::BTreeMap::new(),
            copy: PrivateCopy::default(),
            peaks: std::collections::BTreeMap::new(),
        }))
    }

    fn training(start: StartProgram) -> TreeProgram {
        TreeProgram::Training {
            start,
            config_file: "c".to_owned(),
            hardware: "A100".to_owned(),
            data_directory: "/d".to_owned(),
            visible_devices: None,
            hosts_ports: Vec::new(),
        }
    }

    #[test]
    fn a_case_speaks_the_dialect_of_its_program() {
        let base = |program| Dialect::Base {
            case: "a".to_owned(),
            program,
        };
        let model = |model: &str, style| Dialect::Training {
            model: model.to_owned(),
            style,
        };
        let inference = TreeProgram::Inference {
            data_directory: "/d".to_owned(),
            log_level: "INFO".to_owned(),
        };
        let operation = TreeProgram::Operation {
            format: "FP16".to_owned(),
            spec_tflops: "312".to_owned(),
            library: "nativetorch".to_owned(),
            device: None,
        };
        let none = Dialect::Inference(Peaks::default());
        for (case, program, dialect) in [
            ("a", TreeProgram::Benchmark, base(BaseProgram::Benchmark)),
            ("a", TreeProgram::Toolkit, base(BaseProgram::Toolkit)),
            ("a", operation, Dialect::Operation),
            ("a", inference.clone(), none),
            (
                "a",
                TreeProgram::InCluster,
                model("a", TrainingStyle::Printed),
            ),
            (
                "a",
                training(StartProgram::Pytorch),
                model("a", TrainingStyle::PerfLog),
            ),
            (
                "a",
                training(StartProgram::Megatron),
                model("a", TrainingStyle::Printed),
            ),
            (
                PRINTS,
                training(StartProgram::Pytorch),
                model(PRINTS, TrainingStyle::Printed),
            ),
        ] {
            assert_eq!(Dialect::of(&entry(case, program)), dialect);
        }
        assert_eq!(
            Dialect::of(&Entry::Kernel("gemm".to_owned())),
            Dialect::Plain
        );
        let peaks = Peaks {
            fp32: None,
            fp16: Some(312e12),
        };
        let mut known = entry("a", inference);
        if let Entry::Tree(tree) = &mut known {
            tree.peaks.insert("fp16".to_owned(), 312_000);
        }
        assert_eq!(Dialect::of(&known), Dialect::Inference(peaks));
    }

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
