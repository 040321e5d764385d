//! The configuration of a classic suite: `configs/host.yaml`, or the modules of suite training.

mod keys;
mod read;

use std::fmt;
use std::path::PathBuf;

use flagperf_model::Suite;

use crate::settings::SettingsError;

/// A file of a suite's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteFile {
    /// How errors name it.
    pub path: PathBuf,
    /// What is in it.
    pub text: String,
}

/// Where the configuration of a suite lies, relative to its directory, in the order in which it is read.
pub fn suite_files(suite: Suite) -> &'static [&'static str] {
    match suite {
        Suite::Base | Suite::Operation | Suite::Inference => &["configs/host.yaml"],
        Suite::Training => &[
            "run_benchmarks/config/cluster_conf.py",
            "run_benchmarks/config/test_conf.py",
        ],
    }
}

/// What the configuration of a suite says, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteConfig {
    /// `VENDOR`: the vendor, as the tree's directories are named.
    pub vendor: String,
    /// `FLAGPERF_PATH`: where the suite is to lie on every node.
    pub path: Option<String>,
    /// `FLAGPERF_LOG_PATH`: where results go, relative to the suite or absolute.
    pub log_path: String,
    /// `FLAGPERF_LOG_LEVEL`.
    pub log_level: Option<String>,
    /// `HOSTS`: the nodes, in the order of their ranks.
    pub hosts: Vec<String>,
    /// Where these stand, for errors: file, line and column.
    pub hosts_place: String,
    /// `SSH_PORT`.
    pub ssh_port: u16,
    /// `HOSTS_PORTS`.
    pub hosts_ports: Vec<String>,
    /// `MASTER_PORT`: where ranks meet; absent where the suite has none.
    pub master_port: Option<u16>,
    /// `NPROC_PER_NODE`: ranks on each node, for suites that have it here.
    pub nproc: Option<u32>,
    /// `SHM_SIZE`: size of `/dev/shm` in containers, as engines read it.
    pub shm_size: Option<String>,
    /// `ACCE_CONTAINER_OPT`: further options of the engine, split into words as a shell would, without one.
    pub container_options: Vec<String>,
    /// `PIP_SOURCE`: where Python packages come from.
    pub pip_source: Option<String>,
    /// `CLEAR_CACHES`: whether the page cache is dropped before each case.
    pub clear_caches: bool,
    /// `ACCE_VISIBLE_DEVICE_ENV_NAME`: the variable that tells which chips a process sees.
    pub visible_devices: Option<String>,
    /// `DEVICE` of suite operation: the number of the chip.
    pub device: Option<u32>,
    /// `BENCHMARKS_OR_TOOLKITS` of suite base: true for the vendors' own programs.
    pub toolkits: bool,
    /// `CASES`: case strings with the value beside each, the framework or the directory of the data.
    pub cases: Vec<(String, String)>,
}

/// Why there is no configuration of a suite.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    /// Something is wrong at a place of a file.
    #[error(transparent)]
    Place(SettingsError),
    /// Something is wrong with a `--set`.
    #[error("--set {0}")]
    Set(String),
}

/// Every reason why there is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SuiteErrors(
    /// At least one.
    pub Vec<SuiteError>,
);

impl fmt::Display for SuiteErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::lines(f, &self.0)
    }
}

/// Reads the configuration of a suite from its files, in the order of [`suite_files`]. Nothing of them is executed.
/// Each `KEY=VALUE` of `set` counts more than the files; a value is read as the files would, and what that makes
/// no value of is a text. The second part of the answer is what is to be said about it.
///
/// # Errors
///
/// Everything that is wrong, at once.
pub fn read_suite(
    suite: Suite,
    files: &[SuiteFile],
    set: &[String],
) -> Result<(SuiteConfig, Vec<String>), SuiteErrors> {
    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    let entries = read::entries(suite, files, set, &mut errors, &mut warnings);
    let config = keys::config(suite, files, &entries, &mut errors);
    match config {
        Some(config) if errors.is_empty() => Ok((config, warnings)),
        _ => Err(SuiteErrors(errors)),
    }
}
