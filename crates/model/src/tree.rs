//! Cases of a FlagPerf tree: what is known of one beside its name, and what its processes run in.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Stands for the directory of the task's private copy on the node, anywhere in an argument or in the
/// value of a variable of a [`crate::ProcessSpec`]; see [`PrivateCopy`]. It is to be the same path on all
/// nodes: what MPI and ssh start on another node looks there for what it needs.
pub const COPY: &str = "{copy}";

/// Stands for the task's own output directory on the node (`FLAGPERF_OUT`), anywhere in an argument or in
/// the value of a variable of a [`crate::ProcessSpec`]. What is left there is fetched when the task has ended.
pub const OUT: &str = "{out}";

/// A case of a FlagPerf tree, resolved: with the nodes at hand its processes can be planned again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TreeCase {
    /// The suite's directory on the controller, absolute and without links: `/home/FlagPerf/base`.
    pub suite_directory: String,
    /// Name of the directory of the case: `computation-FP16`, an operator, a model.
    pub case: String,
    /// The vendor, as the tree's directories are named: `nvidia`.
    pub vendor: String,
    /// The chip, as the directory of its adaptation is named; absent where the vendor has none for each chip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chip: Option<String>,
    /// The framework with its version, which names the image: `pytorch_2.3`. Empty where none was told.
    pub framework: String,
    /// What is started, and with what.
    pub program: TreeProgram,
    /// Number of ranks, and of chips, on each node.
    pub nproc: u32,
    /// Number of nodes; it runs on the first ones.
    pub nnodes: u32,
    /// Where Python packages come from, if not from pip's usual source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pip_source: Option<String>,
    /// What of the tree belongs to it.
    #[serde(default)]
    pub files: TreeFiles,
    /// Variables that its processes get beside those of its contract, to set right what the case gets wrong.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// How a node's private copy differs from the original, as far as that does not depend on the nodes.
    #[serde(default)]
    pub copy: PrivateCopy,
    /// Nominal rates of the chip that was found, in 10^9 operations per second, by number format (`fp16`). Empty if
    /// none was found or it is not known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub peaks: BTreeMap<String, u64>,
}

/// Files and directories of a tree that belong to a case, by their paths relative to the suite's directory.
/// What is absent is not there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct TreeFiles {
    /// The Python packages that it needs: a `requirements.txt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirements: Option<String>,
    /// The shell script whose variables it needs: `env.sh`, `environment_variables.sh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Directory of an extension that is built before it: `csrc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// Directory of the vendor's modules for it: `extern`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extern_modules: Option<String>,
    /// The shell script whose first line sets up the network: `net.sh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

/// The program of a case of a tree: which of the contracts it follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TreeProgram {
    /// Suite base: `main.py` of the case, on every node through torchrun.
    Benchmark,
    /// Suite base: the vendor's `main.sh`, once on every node.
    Toolkit,
    /// Suite operation: `main.py` of the operator, once on every node.
    Operation {
        /// Format of the data: `FP16`.
        format: String,
        /// The chip's nominal rate in TFLOPS as it was written, to which the utilisation refers.
        spec_tflops: String,
        /// `flaggems`, or any other word for the framework's own operators.
        library: String,
        /// Number of the chip, for vendors that have it chosen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<u32>,
    },
    /// Suite inference: `run_inference.py`, on one node.
    Inference {
        /// Directory of the data on the node.
        data_directory: String,
        /// How much it prints, as Python's loguru names it: `INFO`.
        log_level: String,
    },
    /// Suite training: `run_pretraining.py` of the model, started as the framework has it.
    Training {
        /// How it is started.
        start: StartProgram,
        /// Name of the configuration file in the vendor's directory: `config_A100x1x8.py`.
        config_file: String,
        /// The kind of chip that the configuration is for: `A100`.
        hardware: String,
        /// Directory of the data on the node.
        data_directory: String,
        /// Variable that tells which chips a process sees: `CUDA_VISIBLE_DEVICES`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        visible_devices: Option<String>,
        /// Ports of the nodes for frameworks that want them told.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hosts_ports: Vec<String>,
    },
    /// Suite training: a program on the first node that starts its parts on the others by itself, through ssh.
    InContainer,
    /// The same through MPI.
    InCluster,
}

/// How the training of a model is started; each has a directory below `training/run_benchmarks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StartProgram {
    /// One process a rank, which meet as PyTorch's do.
    Pytorch,
    /// One process a rank, which meet as PaddlePaddle's do.
    Paddle,
    /// One process a node, which starts its own.
    Tensorflow2,
    /// A shell script on every node.
    Mindspore,
    /// One process a node, which calls torchrun.
    Megatron,
    /// The same with another interpreter.
    MegatronDeepspeed,
    /// One process a node that knows all hosts.
    Flagscale,
    /// torchrun on every node, with a configuration for DeepSpeed.
    Deepspeed,
    /// One process a node, with a configuration for DeepSpeed.
    DeepspeedTorch,
}

impl StartProgram {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Pytorch,
        Self::Paddle,
        Self::Tensorflow2,
        Self::Mindspore,
        Self::Megatron,
        Self::MegatronDeepspeed,
        Self::Flagscale,
        Self::Deepspeed,
        Self::DeepspeedTorch,
    ];

    /// As directories are named: `megatron-deepspeed`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pytorch => "pytorch",
            Self::Paddle => "paddle",
            Self::Tensorflow2 => "tensorflow2",
            Self::Mindspore => "mindspore",
            Self::Megatron => "megatron",
            Self::MegatronDeepspeed => "megatron-deepspeed",
            Self::Flagscale => "flagscale",
            Self::Deepspeed => "deepspeed",
            Self::DeepspeedTorch => "deepspeed-torch",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|start| start.name() == name)
    }
}

impl fmt::Display for StartProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A node's private copy of the task's `case_directory`, in which its processes may write as they like, and
/// how it differs from the original. Tasks of a run with the same directory and the same differences share it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PrivateCopy {
    /// What is left out: paths relative to the directory (`result`, `configs/old`), and names that are
    /// left out wherever they stand, written with `**/` in front (`**/__pycache__`).
    #[serde(default)]
    pub without: Vec<String>,
    /// Files that differ from the original, or that it has not: path in the copy, and the text. Directories
    /// above them are made.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Files whose lines end in CR LF and are to end in LF, by their path in the copy.
    #[serde(default)]
    pub unix_lines: Vec<String>,
}

/// Something that whoever reads the result of a case should know of how the case measures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Remark {
    /// Whether it was set right.
    pub kind: RemarkKind,
    /// Number of the defect in `docs/defects.md`, if it is listed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defect: Option<u32>,
    /// A sentence without a full stop: what is so, and what that means for the result.
    pub text: String,
}

/// Whether what a [`Remark`] is about could be set right from outside the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RemarkKind {
    /// It was.
    SetRight,
    /// It was not: the result has to be read with it in mind.
    Warning,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, NodeTask};

    #[test]
    fn a_start_program_is_written_as_its_directory_is_named() {
        for start in StartProgram::ALL {
            let written = serde_json::to_value(start).unwrap();
            assert_eq!(written, start.name());
            assert_eq!(StartProgram::named(start.name()), Some(start));
        }
        assert_eq!(StartProgram::named("torch"), None);
    }

    #[test]
    fn a_record_without_copies_still_reads() {
        let text =
            r#"{"node": "a", "node_rank": 0, "directory": "x/a", "log": "l", "processes": []}"#;
        let task: NodeTask = serde_json::from_str(text).unwrap();
        assert_eq!((task.copy, task.rank_logs.len()), (None, 0));
    }

    #[test]
    fn an_entry_of_a_tree_reads_back() {
        let entry = Entry::Tree(Box::new(TreeCase {
            suite_directory: "/t/base".to_owned(),
            case: "computation-FP16".to_owned(),
            vendor: "nvidia".to_owned(),
            chip: Some("A100".to_owned()),
            framework: "pytorch_2.3".to_owned(),
            program: TreeProgram::Benchmark,
            nproc: 8,
            nnodes: 2,
            pip_source: None,
            files: TreeFiles::default(),
            env: BTreeMap::new(),
            copy: PrivateCopy::default(),
            peaks: BTreeMap::new(),
        }));
        let text = serde_json::to_string(&entry).unwrap();
        assert!(
            text.starts_with(r#"{"tree":{"suite_directory":"/t/base","#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
    }
}
