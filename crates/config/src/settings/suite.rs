//! The table `[suite]` of `flagperf.toml`: what the original's configuration files say.

use std::path::Path;

use flagperf_model::{NodeName, Suite};
use flagperf_text::{Reader, Section, locate};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::container::{beside, command};
use super::values::{number, port};
use crate::classic::{
    BaseProgram, LEVELS, LogLevel, PROGRAMS, Place, SuiteConfig, SuiteKind, is_size, is_variable,
    is_vendor,
};

const KEYS: [&str; 16] = [
    "name",
    "path",
    "vendor",
    "program",
    "nproc_per_node",
    "device",
    "log_call_information",
    "log_path",
    "log_level",
    "shm_size",
    "container_options",
    "pip_source",
    "clear_caches",
    "visible_devices_env",
    "hosts_ports",
    "cases",
];

const SUITES: [(&str, Suite); 4] = [
    ("base", Suite::Base),
    ("operation", Suite::Operation),
    ("inference", Suite::Inference),
    ("training", Suite::Training),
];

type Value<'d> = Spanned<DeValue<'d>>;

/// What `[suite]` says, with the places of its cases. What the root of the file says about nodes and ports
/// is added by whoever asks for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SuiteTable {
    pub(crate) config: SuiteConfig,
    pub(crate) places: Vec<Place>,
}

/// Reads `[suite]`.
pub(super) fn read_suite(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    file: &Path,
) -> Option<SuiteTable> {
    let table = reader.table(value, "[suite]")?;
    let section = reader.section(table, value.span().start, "[suite]", &KEYS);
    let name = section
        .require(reader, "name", "base, operation, inference or training")
        .and_then(|value| reader.word(value, &SUITES));
    let vendor = section
        .require(reader, "vendor", "such as \"nvidia\"")
        .and_then(|value| {
            checked(
                reader,
                value,
                is_vendor,
                "the name of a vendor such as \"nvidia\"",
            )
        });
    let kind = name.and_then(|suite| read_kind(reader, &section, suite));
    let path = section
        .get("path")
        .and_then(|value| reader.text(value, "the directory of the suite"));
    let log_path = section
        .get("log_path")
        .and_then(|value| reader.text(value, "a directory for results"));
    let log_level = section
        .get("log_level")
        .and_then(|value| reader.word(value, &LEVELS));
    let shm_size = section
        .get("shm_size")
        .and_then(|value| checked(reader, value, is_size, "a size such as \"32G\""));
    let container_options = section.get("container_options").and_then(|value| {
        let empty = value
            .get_ref()
            .as_array()
            .is_some_and(|items| items.is_empty());
        if empty { None } else { command(reader, value) }
    });
    let pip_source = section
        .get("pip_source")
        .and_then(|value| reader.text(value, "the address of a package index"));
    let clear_caches = section
        .get("clear_caches")
        .and_then(|value| reader.boolean(value));
    let visible_devices_env = section.get("visible_devices_env").and_then(|value| {
        checked(
            reader,
            value,
            is_variable,
            "the name of an environment variable such as \"CUDA_VISIBLE_DEVICES\"",
        )
    });
    let hosts_ports = section
        .get("hosts_ports")
        .map(|value| read_ports(reader, value));
    let cases = section
        .require(reader, "cases", "a table of at least one case")
        .and_then(|value| read_cases(reader, value, file));
    let (cases, places) = cases?.into_iter().unzip();
    Some(SuiteTable {
        config: SuiteConfig {
            kind: kind?,
            vendor: vendor?,
            path: path.map(|path| beside(file, &path)),
            log_path: log_path.unwrap_or_else(|| "result".to_owned()),
            log_level: log_level.unwrap_or(LogLevel::Info),
            hosts: Vec::new(),
            ssh_port: None,
            master_port: None,
            hosts_ports: hosts_ports.unwrap_or_default(),
            shm_size,
            container_options: container_options.unwrap_or_default(),
            pip_source,
            clear_caches: clear_caches.unwrap_or(true),
            visible_devices_env,
            cases,
        },
        places,
    })
}

/// The keys that only one of the suites has.
fn read_kind(reader: &mut Reader<'_>, section: &Section<'_>, suite: Suite) -> Option<SuiteKind> {
    let has: &[&str] = match suite {
        Suite::Base => &["program", "nproc_per_node"],
        Suite::Operation => &["nproc_per_node", "device"],
        Suite::Inference => &["log_call_information"],
        Suite::Training => &[],
    };
    for key in [
        "program",
        "nproc_per_node",
        "device",
        "log_call_information",
    ] {
        if let Some(value) = section.get(key).filter(|_| !has.contains(&key)) {
            let name = SUITES.iter().find(|(_, known)| *known == suite);
            let name = name.map_or("", |(name, _)| name);
            reader.wrong(
                value.span(),
                format!("`{key}` means nothing to the suite {name}; leave it out"),
            );
        }
    }
    let nproc = match (suite, section.get("nproc_per_node")) {
        (_, Some(value)) => number(reader, value, "a number of ranks", 1..=4096).map(u32::from),
        (Suite::Base, None) => {
            section.require(
                reader,
                "nproc_per_node",
                "the number of ranks a node, such as 8",
            );
            None
        }
        (_, None) => Some(1),
    };
    Some(match suite {
        Suite::Base => SuiteKind::Base {
            nproc_per_node: nproc?,
            program: match section.get("program") {
                Some(value) => reader.word(value, &PROGRAMS)?,
                None => BaseProgram::Benchmark,
            },
        },
        Suite::Operation => SuiteKind::Operation {
            nproc_per_node: nproc?,
            device: match section.get("device") {
                Some(value) => u32::from(number(reader, value, "the number of a chip", 0..=4095)?),
                None => 0,
            },
        },
        Suite::Inference => SuiteKind::Inference {
            log_call_information: match section.get("log_call_information") {
                Some(value) => reader.boolean(value)?,
                None => true,
            },
        },
        Suite::Training => SuiteKind::Training,
    })
}

fn checked(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    fits: fn(&str) -> bool,
    expected: &str,
) -> Option<String> {
    let text = reader.text(value, expected)?;
    if fits(&text) {
        return Some(text);
    }
    let shown = flagperf_text::printable(flagperf_text::shown(&text));
    reader.wrong(value.span(), format!("`{shown}` is not {expected}"));
    None
}

fn read_ports(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<u16> {
    let items = reader
        .array(value, "a list of ports such as [2222]")
        .unwrap_or_default();
    items.iter().filter_map(|item| port(reader, item)).collect()
}

fn read_cases(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    file: &Path,
) -> Option<Vec<((String, String), Place)>> {
    const EXPECTED: &str = "lines such as `\"computation-FP32:A100\" = \"pytorch_2.3\"`";
    let table: &DeTable<'_> = reader.table(value, "[suite.cases]")?;
    if table.is_empty() {
        reader.wrong(
            value.span(),
            format!("no case is named; expected {EXPECTED}"),
        );
        return None;
    }
    // The map is sorted by name; what counts is the order of the file.
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut cases = Vec::new();
    let count = entries.len();
    for (key, about) in entries {
        let name: &str = key.get_ref();
        if name.trim().is_empty() {
            reader.wrong(
                key.span(),
                format!("this case has no name; expected {EXPECTED}"),
            );
            continue;
        }
        let Some(about) = reader.text(
            about,
            "the framework or the directory of the data, as a text",
        ) else {
            continue;
        };
        let at = locate(reader.source(), key.span(), String::new());
        let place = Place {
            path: file.to_owned(),
            line: at.line,
            column: at.column,
            excerpt: at.excerpt,
        };
        cases.push(((name.to_owned(), about), place));
    }
    (cases.len() == count).then_some(cases)
}

impl SuiteTable {
    /// With what the root of the file says about nodes and ports.
    pub(crate) fn with(
        &self,
        nodes: Option<&[NodeName]>,
        ssh_port: Option<u16>,
        master_port: Option<u16>,
    ) -> (SuiteConfig, Vec<Place>) {
        let config = SuiteConfig {
            hosts: nodes.unwrap_or_default().to_vec(),
            ssh_port,
            master_port,
            ..self.config.clone()
        };
        (config, self.places.clone())
    }
}
