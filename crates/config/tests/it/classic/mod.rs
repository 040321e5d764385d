//! The configuration files of the original, with samples in their form.

mod mistakes;
mod overrides;
mod toml;
mod values;

use std::path::Path;

use flagperf_config::SettingsErrors;
use flagperf_config::classic::{ClassicFiles, ConfigFile, SuiteReading, read_classic};

/// A `host.yaml` of base in the form in which editors of Windows leave it.
pub(crate) const BASE: &str = "\
FLAGPERF_PATH: \"/opt/FlagPerf/base\"\r
FLAGPERF_LOG_PATH: \"result\"\r
VENDOR: \"nvidia\"\r
FLAGPERF_LOG_LEVEL: \"info\"\r
# BENCHMARK or TOOLKIT\r
BENCHMARKS_OR_TOOLKITS: \"BENCHMARK\"\r
HOSTS: [\"10.0.0.1\", \"10.0.0.2\"]\r
NPROC_PER_NODE: 8\r
SSH_PORT: \"22\"\r
HOSTS_PORTS: [\"2222\"]\r
MASTER_PORT: \"29501\"\r
SHM_SIZE: \"32G\"\r
ACCE_CONTAINER_OPT: \" --gpus all\"\r
PIP_SOURCE: \"https://pypi.example.org/simple\"\r
CLEAR_CACHES: True\r
ACCE_VISIBLE_DEVICE_ENV_NAME: \"CUDA_VISIBLE_DEVICES\"\r
CASES: \r
     \"computation-FP64:A100\": \"torch_2\"\r
\r
     # \"computation-FP32:A100\": \"torch_2\"\r
     \"main_memory-bandwidth\": \"torch_3\"\r
";

/// A `cluster_conf.py`.
pub(crate) const CLUSTER: &str = "\
'''Where to run'''
HOSTS = [\"10.0.0.1\", \"10.0.0.2\"]
HOSTS_PORTS = [\"2222\"]
MASTER_PORT = \"29501\"
SSH_PORT = \"22\"
";

/// A `test_conf.py`.
pub(crate) const TEST: &str = "\
'''What to run'''
# -*-coding:utf-8 -*-
VENDOR = \"kunlunxin\"
ACCE_CONTAINER_OPT = \" --device=/dev/xpu0 --device=/dev/xpu1\" + \\
                     \" --device=/dev/xpuctrl\"
ACCE_VISIBLE_DEVICE_ENV_NAME = \"XPU_VISIBLE_DEVICES\"
PIP_SOURCE = \"https://pypi.example.org/simple\"
FLAGPERF_PATH = \"/opt/FlagPerf/training\"
FLAGPERF_LOG_PATH = FLAGPERF_PATH + \"/result/\"
FLAGPERF_LOG_LEVEL = 'debug'
SHM_SIZE = \"32G\"
CLEAR_CACHES = True
'''
the cases
'''
CASES = {
    # \"off:pytorch:X1:1:8:1\": \"/data/off\",
    \"bert:pytorch_1.8:R300:1:8:1\": \"/data/bert\",   # one node
    'llama3_8B:megatron:R300p:2:8:3': '/data/llama',
}
";

pub(crate) fn file<'a>(path: &'a str, text: &'a str) -> ConfigFile<'a> {
    ConfigFile {
        path: Path::new(path),
        bytes: text.as_bytes(),
    }
}

pub(crate) fn words(set: &[&str]) -> Vec<String> {
    set.iter().map(|&word| word.to_owned()).collect()
}

pub(crate) fn read_base(text: &str, set: &[&str]) -> Result<SuiteReading, SettingsErrors> {
    let files = ClassicFiles::Base(file("configs/host.yaml", text));
    read_classic(&files, &words(set))
}

pub(crate) fn read_training(
    cluster: &str,
    test: &str,
    set: &[&str],
) -> Result<SuiteReading, SettingsErrors> {
    let files = ClassicFiles::Training {
        cluster: file("config/cluster_conf.py", cluster),
        test: file("config/test_conf.py", test),
    };
    read_classic(&files, &words(set))
}

/// The mistakes, each as `file:line:column: message`.
pub(crate) fn refusal(read: Result<SuiteReading, SettingsErrors>) -> Vec<String> {
    let errors = read.expect_err("it was accepted");
    assert!(!errors.0.is_empty());
    let lines = errors.0.iter().map(|error| {
        let path = error.path.display();
        format!("{path}:{}:{}: {}", error.line, error.column, error.message)
    });
    lines.collect()
}

/// The warnings, each as `file:line:column: message`.
pub(crate) fn warnings(reading: &SuiteReading) -> Vec<String> {
    let lines = reading.warnings.iter().map(|warning| {
        let path = warning.path.display();
        format!(
            "{path}:{}:{}: {}",
            warning.line, warning.column, warning.message
        )
    });
    lines.collect()
}

/// A sample with a line in the place of that of a key, or without it.
pub(crate) fn with(text: &str, key: &str, line: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut found = false;
    for old in text.lines() {
        if old.starts_with(key) {
            found = true;
            if !line.is_empty() {
                lines.push(line);
            }
        } else {
            lines.push(old);
        }
    }
    assert!(found, "{key} is not in the sample");
    format!("{}\n", lines.join("\n"))
}
