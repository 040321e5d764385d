//! The keys of a suite's configuration, and what stands behind each.

use std::collections::BTreeSet;

use flagperf_model::Suite;
use flagperf_text::{Data, Spanned, locate, nearest, shown};

use super::read::{Entry, From, at};
use super::{SuiteConfig, SuiteError, SuiteFile};
use crate::settings::split;

/// The keys that all suites have.
const COMMON: [&str; 14] = [
    "FLAGPERF_PATH",
    "FLAGPERF_LOG_PATH",
    "VENDOR",
    "FLAGPERF_LOG_LEVEL",
    "HOSTS",
    "SSH_PORT",
    "HOSTS_PORTS",
    "MASTER_PORT",
    "SHM_SIZE",
    "ACCE_CONTAINER_OPT",
    "PIP_SOURCE",
    "CLEAR_CACHES",
    "ACCE_VISIBLE_DEVICE_ENV_NAME",
    "CASES",
];

/// The keys of a suite.
pub(super) fn keys(suite: Suite) -> impl Iterator<Item = &'static str> {
    let own: &[&'static str] = match suite {
        Suite::Base => &["BENCHMARKS_OR_TOOLKITS", "NPROC_PER_NODE"],
        Suite::Operation => &["NPROC_PER_NODE", "DEVICE"],
        Suite::Inference => &["LOG_CALL_INFORMATION"],
        Suite::Training => &[],
    };
    COMMON.into_iter().chain(own.iter().copied())
}

/// Puts the configuration together; absent if a mistake was found.
pub(super) fn config(
    suite: Suite,
    files: &[SuiteFile],
    entries: &[Entry],
    errors: &mut Vec<SuiteError>,
) -> Option<SuiteConfig> {
    let unread = !errors.is_empty() && entries.is_empty();
    if unread {
        // What is missing is no news where nothing could be read.
        return None;
    }
    let mut values = Values {
        suite,
        files,
        entries,
        errors,
    };
    let nproc = match suite {
        Suite::Base | Suite::Operation => values
            .needed("NPROC_PER_NODE", "NPROC_PER_NODE: 8")
            .and_then(|entry| values.count(entry, 1)),
        Suite::Inference | Suite::Training => None,
    };
    let (hosts, hosts_place) = values.hosts();
    let vendor = values
        .needed("VENDOR", "VENDOR: \"nvidia\"")
        .and_then(|entry| values.word(entry));
    let cases = values.cases();
    let port = |values: &mut Values<'_>, key: &'static str, example| {
        let entry = values.needed(key, example)?;
        values.port(entry)
    };
    let ssh_port = port(&mut values, "SSH_PORT", "SSH_PORT: \"22\"");
    // The original's inference has the key and never looks at it.
    let master_port = match values.entry("MASTER_PORT") {
        Some(entry) => values.port(entry),
        None => None,
    };
    let log_path = values
        .needed("FLAGPERF_LOG_PATH", "FLAGPERF_LOG_PATH: \"result\"")
        .and_then(|entry| values.text(entry));
    let path = values.optional("FLAGPERF_PATH");
    let toolkits = values.toolkits();
    let container_options = values.words("ACCE_CONTAINER_OPT");
    let device = match values.entry("DEVICE").filter(|_| suite == Suite::Operation) {
        Some(entry) => values.count(entry, 0),
        None => None,
    };
    let config = SuiteConfig {
        vendor: vendor?,
        path,
        log_path: log_path?,
        log_level: values.optional("FLAGPERF_LOG_LEVEL"),
        hosts: hosts?,
        hosts_place,
        ssh_port: ssh_port?,
        hosts_ports: values.list("HOSTS_PORTS"),
        master_port,
        nproc,
        shm_size: values.optional("SHM_SIZE"),
        container_options,
        pip_source: values.optional("PIP_SOURCE"),
        clear_caches: values.flag("CLEAR_CACHES"),
        visible_devices: values.optional("ACCE_VISIBLE_DEVICE_ENV_NAME"),
        device,
        toolkits,
        cases: cases?,
    };
    Some(config)
}

struct Values<'a> {
    suite: Suite,
    files: &'a [SuiteFile],
    entries: &'a [Entry],
    errors: &'a mut Vec<SuiteError>,
}

impl<'a> Values<'a> {
    fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().rev().find(|entry| entry.key == key)
    }

    fn wrong(&mut self, entry: &Entry, value: Option<&Spanned<Data>>, message: String) {
        let error = match (entry.from, value) {
            (From::File(place), value) => {
                let file = &self.files[place];
                let span = match (value, &entry.value) {
                    (Some(value), _) => value.span.clone(),
                    (None, Ok(value)) => value.span.clone(),
                    (None, Err((span, _))) => span.clone(),
                };
                at(&file.path, locate(&file.text, span, message))
            }
            (From::Set, _) => SuiteError::Set(format!("{}: {message}", entry.key)),
        };
        self.errors.push(error);
    }

    /// The value of an entry; if it is not known, that is told.
    fn value(&mut self, entry: &'a Entry) -> Option<&'a Spanned<Data>> {
        match &entry.value {
            Ok(value) => Some(value),
            Err((_, message)) => {
                let message = format!("`{}`: {message}", entry.key);
                self.wrong(entry, None, message);
                None
            }
        }
    }

    fn mistyped(&mut self, entry: &Entry, value: &Spanned<Data>, expected: &str) {
        let found = match &value.value {
            Data::Text(text) => format!("`{}`", shown(text)),
            Data::Int(number) => format!("`{number}`"),
            Data::Float(number) => format!("`{number}`"),
            Data::Bool(truth) => format!("`{truth}`"),
            other => other.kind().to_owned(),
        };
        let message = format!("`{}` is {found}; expected {expected}", entry.key);
        self.wrong(entry, Some(value), message);
    }

    /// An entry that must be there. `example` shows how it is written.
    fn needed(&mut self, key: &'static str, example: &str) -> Option<&'a Entry> {
        if let Some(entry) = self.entry(key) {
            return Some(entry);
        }
        let written = self
            .entries
            .iter()
            .filter(|entry| !keys(self.suite).any(|known| known == entry.key));
        // A key that is known nowhere and looks like it is most likely the one that was meant.
        let close = nearest(key, written.map(|entry| entry.key.as_str()))
            .and_then(|close| self.entry(close));
        let example = if self.suite == Suite::Training {
            example.replacen(": ", " = ", 1)
        } else {
            example.to_owned()
        };
        match close {
            Some(entry) => {
                let message = format!(
                    "`{}` is not a key, and `{key}` is missing: is it meant? Expected such as `{example}`",
                    shown(&entry.key)
                );
                self.wrong(entry, None, message);
            }
            None => {
                let file = self.files.last()?;
                let end = file.text.len();
                let message = format!(
                    "the key `{key}` is missing; expected such as `{example}`, or --set {key}=…"
                );
                self.errors
                    .push(at(&file.path, locate(&file.text, end..end, message)));
            }
        }
        None
    }

    fn text(&mut self, entry: &'a Entry) -> Option<String> {
        let value = self.value(entry)?;
        match &value.value {
            Data::Text(text) => Some(text.clone()),
            Data::Int(number) => Some(number.to_string()),
            _ => {
                self.mistyped(entry, value, "a text in quotes");
                None
            }
        }
    }

    /// A name of a directory of the tree.
    fn word(&mut self, entry: &'a Entry) -> Option<String> {
        let text = self.text(entry)?;
        if text.is_empty() || text.contains('/') {
            let value = self.value(entry)?;
            self.mistyped(entry, value, "the name of a vendor, such as \"nvidia\"");
            return None;
        }
        Some(text)
    }

    /// The text of a key that need not be there or may be nothing.
    fn optional(&mut self, key: &str) -> Option<String> {
        let entry = self.entry(key)?;
        if entry
            .value
            .as_ref()
            .is_ok_and(|value| value.value == Data::None)
        {
            return None;
        }
        self.text(entry).filter(|text| !text.is_empty())
    }

    fn count(&mut self, entry: &'a Entry, least: i64) -> Option<u32> {
        let value = self.value(entry)?;
        let number = match &value.value {
            Data::Int(number) => Some(*number),
            Data::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        let count = number
            .filter(|number| *number >= least)
            .and_then(|number| u32::try_from(number).ok());
        if count.is_none() {
            self.mistyped(entry, value, &format!("a whole number, at least {least}"));
        }
        count
    }

    fn port(&mut self, entry: &'a Entry) -> Option<u16> {
        let value = self.value(entry)?;
        let number = match &value.value {
            Data::Int(number) => u16::try_from(*number).ok(),
            Data::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        let port = number.filter(|&port| port > 0);
        if port.is_none() {
            self.mistyped(entry, value, "a port, 1 to 65535");
        }
        port
    }

    fn flag(&mut self, key: &str) -> bool {
        let Some(entry) = self.entry(key) else {
            return false;
        };
        match self.value(entry) {
            Some(value) => match value.value {
                Data::Bool(truth) => truth,
                Data::None => false,
                _ => {
                    self.mistyped(entry, value, "`True` or `False`");
                    false
                }
            },
            None => false,
        }
    }

    fn list(&mut self, key: &str) -> Vec<String> {
        let Some(entry) = self.entry(key) else {
            return Vec::new();
        };
        self.texts(entry)
            .unwrap_or_default()
            .into_iter()
            .map(|text| text.value)
            .collect()
    }

    /// A list of texts; one text stands for a list of it.
    fn texts(&mut self, entry: &'a Entry) -> Option<Vec<Spanned<String>>> {
        const EXPECTED: &str = "a list of texts, such as [\"node1\", \"node2\"]";
        let value = self.value(entry)?;
        let items = match &value.value {
            Data::List(items) => items,
            Data::None => return Some(Vec::new()),
            _ => {
                self.mistyped(entry, value, EXPECTED);
                return None;
            }
        };
        let mut texts = Vec::new();
        for item in items {
            match &item.value {
                Data::Text(text) => texts.push(Spanned::new(text.clone(), item.span.clone())),
                Data::Int(number) => {
                    texts.push(Spanned::new(number.to_string(), item.span.clone()))
                }
                _ => {
                    self.mistyped(entry, item, "texts in this list");
                    return None;
                }
            }
        }
        Some(texts)
    }

    fn hosts(&mut self) -> (Option<Vec<String>>, String) {
        let Some(entry) = self.needed("HOSTS", "HOSTS: [\"192.168.1.2\", \"192.168.1.3\"]") else {
            return (None, String::new());
        };
        let place = match (entry.from, &entry.value) {
            (From::File(file), Ok(value)) => {
                let file = &self.files[file];
                let place = locate(&file.text, value.span.clone(), String::new());
                format!("{}:{}:{}", file.path.display(), place.line, place.column)
            }
            _ => "--set HOSTS".to_owned(),
        };
        let Some(hosts) = self.texts(entry) else {
            return (None, place);
        };
        if hosts.is_empty() {
            self.wrong(
                entry,
                None,
                "`HOSTS` names no node; expected at least one, such as [\"127.0.0.1\"]".to_owned(),
            );
            return (None, place);
        }
        let mut seen = BTreeSet::new();
        let mut fine = true;
        for host in &hosts {
            if !seen.insert(host.value.as_str()) {
                let message = format!(
                    "`{}` stands in `HOSTS` twice; every node is named once",
                    shown(&host.value)
                );
                let value = Spanned::new(Data::None, host.span.clone());
                self.wrong(entry, Some(&value), message);
                fine = false;
            }
        }
        let hosts = hosts.iter().map(|host| host.value.clone()).collect();
        (fine.then_some(hosts), place)
    }

    fn toolkits(&mut self) -> bool {
        if self.suite != Suite::Base {
            return false;
        }
        let Some(entry) = self.entry("BENCHMARKS_OR_TOOLKITS") else {
            return false;
        };
        let Some(text) = self.text(entry) else {
            return false;
        };
        match text.to_ascii_uppercase().as_str() {
            "BENCHMARK" => false,
            "TOOLKIT" => true,
            _ => {
                if let Some(value) = self.value(entry) {
                    self.mistyped(entry, value, "\"BENCHMARK\" or \"TOOLKIT\"");
                }
                false
            }
        }
    }

    fn words(&mut self, key: &str) -> Vec<String> {
        let Some(text) = self.optional(key) else {
            return Vec::new();
        };
        match (split(&text), self.entry(key)) {
            (Ok(words), _) => words,
            (Err(problem), Some(entry)) => {
                self.wrong(entry, None, format!("`{key}`: {problem}"));
                Vec::new()
            }
            (Err(_), None) => Vec::new(),
        }
    }

    fn cases(&mut self) -> Option<Vec<(String, String)>> {
        const EXPECTED: &str =
            "a mapping from case strings, such as {\"computation-FP32:A100\": \"pytorch_2.3\"}";
        let entry = self.needed(
            "CASES",
            "CASES: {\"computation-FP32:A100\": \"pytorch_2.3\"}",
        )?;
        let value = self.value(entry)?;
        let Data::Map(items) = &value.value else {
            self.mistyped(entry, value, EXPECTED);
            return None;
        };
        if items.is_empty() {
            self.mistyped(entry, value, EXPECTED);
            return None;
        }
        let mut cases = Vec::new();
        for (name, value) in items {
            match &value.value {
                Data::Text(text) => cases.push((name.value.clone(), text.clone())),
                Data::None => cases.push((name.value.clone(), String::new())),
                _ => {
                    self.mistyped(
                        entry,
                        value,
                        "a text behind each case: its framework, or the directory of its data",
                    );
                    return None;
                }
            }
        }
        Some(cases)
    }
}
