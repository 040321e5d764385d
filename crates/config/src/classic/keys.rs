//! The keys of the original's configuration files.

use flagperf_model::Suite;

use super::{BaseProgram, LogLevel};

/// The words for levels.
pub(crate) const LEVELS: [(&str, LogLevel); 7] = [
    ("debug", LogLevel::Debug),
    ("info", LogLevel::Info),
    ("warning", LogLevel::Warning),
    ("error", LogLevel::Error),
    ("trace", LogLevel::Trace),
    ("success", LogLevel::Success),
    ("critical", LogLevel::Critical),
];

/// The words for programs of the suite base.
pub(crate) const PROGRAMS: [(&str, BaseProgram); 2] = [
    ("benchmark", BaseProgram::Benchmark),
    ("toolkit", BaseProgram::Toolkit),
];

/// What a suite does with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// It must be there.
    Must,
    /// It may be there.
    May,
    /// It may be there, but no program of the suite looks at it.
    Dead,
    /// The suite does not know it.
    No,
}

/// How a value is written on a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A text, which needs no quotes there.
    Text,
    /// A text or nothing.
    TextOrNone,
    /// A number, a truth value, a list or a mapping.
    Other,
}

/// A key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// A value as the original ships it, in a form that both YAML and Python read.
    pub(super) example: &'static str,
    pub(super) form: Form,
    /// For base, operation, inference and training.
    needs: [Need; 4],
    /// True if training has it in `cluster_conf.py`.
    pub(super) of_cluster: bool,
}

impl Key {
    pub(super) fn need(&self, suite: Suite) -> Need {
        match suite {
            Suite::Base => self.needs[0],
            Suite::Operation => self.needs[1],
            Suite::Inference => self.needs[2],
            Suite::Training => self.needs[3],
        }
    }
}

const fn key(name: &'static str, example: &'static str, form: Form, needs: [Need; 4]) -> Key {
    Key {
        name,
        example,
        form,
        needs,
        of_cluster: false,
    }
}

const fn of_cluster(key: Key) -> Key {
    Key {
        of_cluster: true,
        ..key
    }
}

use Form::{Other, Text, TextOrNone};
use Need::{Dead, May, Must, No};

/// Every key of every suite.
pub(super) const KEYS: [Key; 18] = [
    key(
        "FLAGPERF_PATH",
        "\"/home/FlagPerf/base\"",
        TextOrNone,
        [Must, Must, May, May],
    ),
    key("FLAGPERF_LOG_PATH", "\"result\"", Text, [Must; 4]),
    key("VENDOR", "\"nvidia\"", Text, [Must; 4]),
    key("FLAGPERF_LOG_LEVEL", "\"info\"", Text, [Must; 4]),
    key("LOG_CALL_INFORMATION", "True", Other, [No, No, Must, No]),
    key(
        "BENCHMARKS_OR_TOOLKITS",
        "\"BENCHMARK\"",
        Text,
        [Must, No, No, No],
    ),
    of_cluster(key(
        "HOSTS",
        "[\"192.168.1.2\", \"192.168.1.3\"]",
        Other,
        [Must; 4],
    )),
    key("NPROC_PER_NODE", "8", Other, [Must, Must, No, No]),
    of_cluster(key("SSH_PORT", "\"22\"", Other, [Must; 4])),
    of_cluster(key(
        "HOSTS_PORTS",
        "[\"2222\"]",
        Other,
        [Dead, Dead, Dead, Must],
    )),
    of_cluster(key(
        "MASTER_PORT",
        "\"29501\"",
        Other,
        [Must, Must, Dead, Must],
    )),
    key("SHM_SIZE", "\"32G\"", Text, [Must; 4]),
    key("DEVICE", "0", Other, [No, May, No, No]),
    key(
        "ACCE_CONTAINER_OPT",
        "\" --gpus all\"",
        TextOrNone,
        [Must; 4],
    ),
    key(
        "PIP_SOURCE",
        "\"https://pypi.org/simple\"",
        TextOrNone,
        [Dead, Dead, Must, Must],
    ),
    key("CLEAR_CACHES", "True", Other, [Must; 4]),
    key(
        "ACCE_VISIBLE_DEVICE_ENV_NAME",
        "\"CUDA_VISIBLE_DEVICES\"",
        TextOrNone,
        [Dead, Dead, Dead, Must],
    ),
    key(
        "CASES",
        "{\"computation-FP32:A100\": \"pytorch_2.3\"}",
        Other,
        [Must; 4],
    ),
];

/// An example of a case and what is said about it.
pub(super) fn case_example(suite: Suite) -> (&'static str, &'static str) {
    match suite {
        Suite::Base => ("computation-FP32:A100", "pytorch_2.3"),
        Suite::Operation => ("mm:FP16:312:nativetorch:A100_40_SXM", "ngctorch2403"),
        Suite::Inference => ("resnet50:pytorch_1.13", "/data/imagenet/val"),
        Suite::Training => ("llama3_8B:megatron_core060:A100:1:8:1", "/data/llama3_8b"),
    }
}

/// What is said about a case.
pub(super) fn case_value(suite: Suite) -> &'static str {
    match suite {
        Suite::Base | Suite::Operation => "the framework that names its image",
        Suite::Inference | Suite::Training => "the directory of its data",
    }
}

/// The name of a suite.
pub(super) fn suite_name(suite: Suite) -> &'static str {
    match suite {
        Suite::Base => "base",
        Suite::Operation => "operation",
        Suite::Inference => "inference",
        Suite::Training => "training",
    }
}

/// The key of this name, whichever suite it is of.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The names of the keys that a suite knows.
pub(super) fn names(suite: Suite) -> impl Iterator<Item = &'static str> {
    KEYS.iter()
        .filter(move |key| key.need(suite) != No)
        .map(|key| key.name)
}
