//! A configuration as the text of a `flagperf.toml`.

use std::fmt::Write as _;

use crate::nodeset::fold;

use super::keys::{LEVELS, PROGRAMS, case_value, suite_name};
use super::{SuiteConfig, SuiteKind};

/// So many nodes are written one by one; more of them as a set.
const MOST_LISTED: usize = 8;

/// Lines with what they mean behind them.
struct Lines(Vec<(String, &'static str)>);

impl Lines {
    fn add(&mut self, key: &str, value: impl std::fmt::Display, about: &'static str) {
        self.0.push((format!("{key} = {value}"), about));
    }

    /// The lines with their comments under one another.
    fn write(&self, text: &mut String) {
        const WIDEST: usize = 60;
        let widths = self.0.iter().map(|(line, _)| line.chars().count());
        let width = widths.filter(|width| *width <= WIDEST).max().unwrap_or(0);
        for (line, about) in &self.0 {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{line:width$}  # {about}");
        }
    }
}

/// The text of a `flagperf.toml` that says the same. Read from the directory of the file whose paths
/// the configuration has, it gives this configuration again.
pub fn to_toml(config: &SuiteConfig) -> String {
    let mut text = String::new();
    let mut top = Lines(Vec::new());
    if !config.hosts.is_empty() {
        let nodes = if config.hosts.len() > MOST_LISTED {
            quote(&fold(&config.hosts))
        } else {
            list(config.hosts.iter().map(|host| quote(host.as_str())))
        };
        top.add("nodes", nodes, "HOSTS, by rank");
    }
    if let Some(port) = config.master_port {
        top.add(
            "master_port",
            port,
            "MASTER_PORT: where the ranks of a case meet",
        );
    }
    top.write(&mut text);
    if let Some(port) = config.ssh_port {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str("[defaults]\n");
        let mut defaults = Lines(Vec::new());
        defaults.add("port", port, "SSH_PORT");
        defaults.write(&mut text);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str("[suite]\n");
    suite(config).write(&mut text);
    let _ = write!(
        text,
        "\n# The cases, and {} of each\n[suite.cases]\n",
        short(config)
    );
    for (case, about) in &config.cases {
        let _ = writeln!(text, "{} = {}", quote(case), quote(about));
    }
    text
}

fn short(config: &SuiteConfig) -> &'static str {
    case_value(config.suite())
        .strip_suffix(" of its data")
        .map_or("the framework", |_| "the directory of the data")
}

fn suite(config: &SuiteConfig) -> Lines {
    let mut lines = Lines(Vec::new());
    lines.add(
        "name",
        quote(suite_name(config.suite())),
        "base, operation, inference or training",
    );
    if let Some(path) = &config.path {
        lines.add(
            "path",
            quote(path),
            "FLAGPERF_PATH: the directory of the suite, from the directory of this file",
        );
    }
    lines.add("vendor", quote(&config.vendor), "VENDOR");
    match config.kind {
        SuiteKind::Base {
            nproc_per_node,
            program,
        } => {
            let word = PROGRAMS.iter().find(|(_, known)| *known == program);
            let word = word.map_or("", |(word, _)| word);
            lines.add(
                "program",
                quote(word),
                "BENCHMARKS_OR_TOOLKITS: benchmark or toolkit",
            );
            lines.add(
                "nproc_per_node",
                nproc_per_node,
                "NPROC_PER_NODE: ranks a node",
            );
        }
        SuiteKind::Operation {
            nproc_per_node,
            device,
        } => {
            lines.add(
                "nproc_per_node",
                nproc_per_node,
                "NPROC_PER_NODE: ranks a node",
            );
            lines.add("device", device, "DEVICE: the chip of a card with several");
        }
        SuiteKind::Inference {
            log_call_information,
        } => {
            lines.add(
                "log_call_information",
                log_call_information,
                "LOG_CALL_INFORMATION: log lines say where they come from",
            );
        }
        SuiteKind::Training => {}
    }
    lines.add(
        "log_path",
        quote(&config.log_path),
        "FLAGPERF_LOG_PATH: where results go, from the directory of the suite",
    );
    let level = LEVELS.iter().find(|(_, known)| *known == config.log_level);
    lines.add(
        "log_level",
        quote(level.map_or("", |(word, _)| word)),
        "FLAGPERF_LOG_LEVEL",
    );
    if let Some(size) = &config.shm_size {
        lines.add(
            "shm_size",
            quote(size),
            "SHM_SIZE: shared memory of a container",
        );
    }
    let options = list(config.container_options.iter().map(|word| quote(word)));
    lines.add(
        "container_options",
        options,
        "ACCE_CONTAINER_OPT: further options for starting a container",
    );
    if let Some(source) = &config.pip_source {
        lines.add("pip_source", quote(source), "PIP_SOURCE: the package index");
    }
    lines.add(
        "clear_caches",
        config.clear_caches,
        "CLEAR_CACHES: drop the page cache before each case",
    );
    if let Some(name) = &config.visible_devices_env {
        lines.add(
            "visible_devices_env",
            quote(name),
            "ACCE_VISIBLE_DEVICE_ENV_NAME",
        );
    }
    if !config.hosts_ports.is_empty() {
        lines.add(
            "hosts_ports",
            list(config.hosts_ports.iter().map(u16::to_string)),
            "HOSTS_PORTS: for the workers of TensorFlow",
        );
    }
    lines
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A text in quotes, as TOML reads it.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
