//! The configuration files of the original: `host.yaml` of the suites base, operation and
//! inference, `cluster_conf.py` and `test_conf.py` of training, and the `config_*.py` of its cases.
//!
//! They are read as they are, and nothing in them is executed. `docs/config-files.md` describes it
//! for the people who write them.

mod case_config;
mod fields;
mod findings;
mod keys;
mod lists;
mod overrides;
mod read;
mod take;
mod write;

use std::path::{Path, PathBuf};

use flagperf_model::{NodeName, Suite};

use crate::settings::SettingsError;

pub use case_config::{CaseConfig, read_case_config};
pub use read::{override_suite, read_classic};
pub use write::to_toml;

pub(crate) use keys::{LEVELS, PROGRAMS};
pub(crate) use take::{is_size, is_variable, is_vendor};

/// What a run of one suite is to do: what the original's configuration files say, or the table
/// `[suite]` of `flagperf.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct SuiteConfig {
    /// Which suite, and what only it has.
    pub kind: SuiteKind,
    /// `VENDOR`: names the directories of adaptations and images.
    pub vendor: String,
    /// `FLAGPERF_PATH`: the directory of the suite. A relative one was taken from the directory of the
    /// file. Absent means the tree that the file is in.
    pub path: Option<String>,
    /// `FLAGPERF_LOG_PATH`: where results go, absolute or relative to the directory of the suite.
    pub log_path: String,
    /// `FLAGPERF_LOG_LEVEL`.
    pub log_level: LogLevel,
    /// `HOSTS`: the nodes by rank, none twice. Without any, nothing was said about nodes.
    pub hosts: Vec<NodeName>,
    /// `SSH_PORT`; absent means that nothing was said.
    pub ssh_port: Option<u16>,
    /// `MASTER_PORT`: where the ranks of a case meet; absent means that nothing was said.
    pub master_port: Option<u16>,
    /// `HOSTS_PORTS`: ports for the workers of TensorFlow, a list for all nodes.
    pub hosts_ports: Vec<u16>,
    /// `SHM_SIZE`: shared memory of a container, as the engine writes sizes; absent means its default.
    pub shm_size: Option<String>,
    /// `ACCE_CONTAINER_OPT`: further options for starting a container, in words.
    pub container_options: Vec<String>,
    /// `PIP_SOURCE`: the package index.
    pub pip_source: Option<String>,
    /// `CLEAR_CACHES`: whether the page cache is dropped before each case.
    pub clear_caches: bool,
    /// `ACCE_VISIBLE_DEVICE_ENV_NAME`: the variable that names the chips which a process may use.
    pub visible_devices_env: Option<String>,
    /// `CASES`: each case as it is written, and what is said about it: the framework, or for inference
    /// and training the directory of its data. At least one, in the order of the file.
    pub cases: Vec<(String, String)>,
}

/// A suite with what only it has.
#[derive(Debug, Clone, PartialEq)]
pub enum SuiteKind {
    /// Properties of chips.
    Base {
        /// `NPROC_PER_NODE`: ranks a node.
        nproc_per_node: u32,
        /// `BENCHMARKS_OR_TOOLKITS`.
        program: BaseProgram,
    },
    /// Single operators.
    Operation {
        /// `NPROC_PER_NODE`: ranks a node.
        nproc_per_node: u32,
        /// `DEVICE`: the chip of a card with several, counted from 0.
        device: u32,
    },
    /// Inference with whole models.
    Inference {
        /// `LOG_CALL_INFORMATION`: whether log lines say where they come from.
        log_call_information: bool,
    },
    /// Training of whole models.
    Training,
}

/// What a case of the suite base starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseProgram {
    /// The PyTorch program, through torchrun.
    Benchmark,
    /// The vendor's own program, through its script.
    Toolkit,
}

/// How much the programs of a suite say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything; only where loguru writes the log.
    Trace,
    /// What helps to find mistakes.
    Debug,
    /// What happens.
    Info,
    /// What went well; only where loguru writes the log.
    Success,
    /// What may be wrong.
    Warning,
    /// What is wrong.
    Error,
    /// What ends the program; only where loguru writes the log.
    Critical,
}

/// A file to read: how errors name it, and what is in it.
#[derive(Debug, Clone, Copy)]
pub struct ConfigFile<'a> {
    /// Where it came from. Relative paths in it are relative to its directory.
    pub path: &'a Path,
    /// What is in it.
    pub bytes: &'a [u8],
}

/// The files that say what a suite is to do.
#[derive(Debug, Clone, Copy)]
pub enum ClassicFiles<'a> {
    /// `base/configs/host.yaml`.
    Base(ConfigFile<'a>),
    /// `operation/configs/host.yaml`.
    Operation(ConfigFile<'a>),
    /// `inference/configs/host.yaml`.
    Inference(ConfigFile<'a>),
    /// The two modules in `training/run_benchmarks/config`.
    Training {
        /// `cluster_conf.py`.
        cluster: ConfigFile<'a>,
        /// `test_conf.py`.
        test: ConfigFile<'a>,
    },
}

/// What was read, and what is to be said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct SuiteReading {
    /// What the files say.
    pub config: SuiteConfig,
    /// Where each case stands, as many as the configuration has.
    pub case_places: Vec<Place>,
    /// What is probably not meant, but does not matter, in the order of the files.
    pub warnings: Vec<SettingsError>,
}

/// A place in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line with a mark under the place.
    pub excerpt: String,
}

impl Place {
    /// That something is wrong at this place.
    pub fn wrong(&self, message: impl Into<String>) -> SettingsError {
        SettingsError {
            path: self.path.clone(),
            line: self.line,
            column: self.column,
            excerpt: self.excerpt.clone(),
            message: message.into(),
        }
    }
}

impl SuiteConfig {
    /// The suite.
    pub fn suite(&self) -> Suite {
        match self.kind {
            SuiteKind::Base { .. } => Suite::Base,
            SuiteKind::Operation { .. } => Suite::Operation,
            SuiteKind::Inference { .. } => Suite::Inference,
            SuiteKind::Training => Suite::Training,
        }
    }
}

impl LogLevel {
    /// The level as the original's configuration files say it, in small letters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}
