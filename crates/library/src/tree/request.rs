//! What a user wants of a tree, as plain values; where they come from is others' business.

use super::SuiteTree;

/// Which cases of a suite to run, and for what.
#[derive(Debug, Clone, Copy)]
pub struct TreeRequest<'a> {
    /// The suite.
    pub tree: &'a SuiteTree,
    /// The vendor, as the tree's directories name it.
    pub vendor: &'a str,
    /// The cases, in the order in which they are to run.
    pub cases: &'a [WantedCase],
    /// In suite base: the vendors' own programs, not the benchmarks in Python.
    pub toolkits: bool,
    /// Number of ranks on each node, for suites whose case strings do not say it.
    pub nproc: u32,
    /// Number of nodes.
    pub nodes: u32,
    /// How often each case runs; absent for what the case strings say, or once.
    pub rounds: Option<u32>,
    /// True if images are made, so that every framework must have a directory to make them of.
    pub images: bool,
    /// True if cases may change passwords, keys and the ssh server of the nodes.
    pub allow_credential_changes: bool,
    /// True if the user named the cases.
    pub named: bool,
    /// The bound on each case, in seconds; absent for the default of its suite.
    pub timeout_s: Option<f64>,
    /// The bound on silence without processor use, in seconds; absent for the default of its suite.
    pub stall_s: Option<f64>,
    /// The rest.
    pub settings: &'a TreeSettings,
}

/// A case as it was written, with the value that stands beside it in the configuration of its suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedCase {
    /// The case string; its first field may have the wildcards `*` and `?`.
    pub name: String,
    /// In suites base and operation the framework, which names the image; in inference and training the
    /// directory of the data.
    pub value: Option<String>,
}

/// Settings of a suite that go to its cases.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TreeSettings {
    /// Where Python packages come from (`PIP_SOURCE`).
    pub pip_source: Option<String>,
    /// Number of the chip, for vendors that have it chosen (`DEVICE`).
    pub device: Option<u32>,
    /// Variable that tells which chips a process sees (`ACCE_VISIBLE_DEVICE_ENV_NAME`).
    pub visible_devices: Option<String>,
    /// Ports of the nodes for frameworks that want them told (`HOSTS_PORTS`).
    pub hosts_ports: Vec<String>,
    /// How much cases of suite inference print (`FLAGPERF_LOG_LEVEL`).
    pub log_level: Option<String>,
    /// Directories that hold results, relative to the suite's directory or absolute (`FLAGPERF_LOG_PATH`, and
    /// where this run's record goes). What of them lies in the suite is not copied to nodes.
    pub result_directories: Vec<String>,
    /// Nominal rates in TFLOPS by chip and number format, each as the tree names it, for cases of suite operation
    /// whose case strings do not tell them.
    pub nominal_tflops: Vec<(String, String, f64)>,
}
