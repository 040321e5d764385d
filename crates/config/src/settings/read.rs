//! The document itself: its keys, and what must hold between them.

use std::path::Path;
use std::time::Duration;

use flagperf_text::{Reader, Section, read_document};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::container::read_container;
use super::nodes::{read_defaults, read_nodes, read_overrides};
use super::suite::read_suite;
use super::values::{duration, number, port, within, written};
use super::{NodeSettings, Settings, SettingsError, SettingsErrors, Timing};
use crate::launcher::LauncherKind;
use crate::template::Template;

const KEYS: [&str; 12] = [
    "nodes",
    "launcher",
    "exec",
    "in_container",
    "container",
    "suite",
    "master_port",
    "max_parallel",
    "ssh",
    "session",
    "defaults",
    "node",
];

const EXEC: &str = r#"a command such as ["kubectl", "exec", "-i", "{node}", "--"]"#;

type Value<'d> = Spanned<DeValue<'d>>;

/// Reads the text of a `flagperf.toml`. `path` is where it came from: it is named in errors, and a
/// relative path in the text is relative to its directory.
///
/// # Errors
///
/// Every mistake at once; only those of TOML's own syntax if there are any.
pub fn parse_settings(path: &Path, source: &str) -> Result<Settings, SettingsErrors> {
    read_document(source, |reader, table| Some(read_root(reader, table, path))).map_err(
        |problems| {
            let errors = problems.into_iter().map(|problem| SettingsError {
                path: path.to_owned(),
                line: problem.line,
                column: problem.column,
                excerpt: problem.excerpt,
                message: problem.message,
            });
            SettingsErrors(errors.collect())
        },
    )
}

/// Reads every part, so that all mistakes are found in one go. What could not be read is left at
/// its default; the reader knows of the mistake.
fn read_root(reader: &mut Reader<'_>, table: &DeTable<'_>, path: &Path) -> Settings {
    let default = Settings::default();
    let root = reader.section(table, 0, "flagperf.toml", &KEYS);
    let nodes = root
        .get("nodes")
        .and_then(|value| read_nodes(reader, value));
    let defaults = root
        .get("defaults")
        .and_then(|value| read_defaults(reader, value))
        .unwrap_or_default();
    let overrides = root
        .get("node")
        .and_then(|value| reader.table(value, "[node.NAME]"))
        .map(|entries| read_overrides(reader, entries, nodes.as_deref()))
        .unwrap_or_default();
    if let (None, Some((key, _))) = (root.get("nodes"), table.get_key_value("node")) {
        let message = "something is said about single nodes, but the nodes are not named; expected `nodes = \"…\"` at the top";
        reader.wrong(key.span(), message);
    }
    let launcher = root
        .get("launcher")
        .and_then(|value| reader.word(value, &LauncherKind::ALL));
    let exec = root.get("exec").and_then(|value| read_exec(reader, value));
    check_launchers(reader, &root, launcher, &overrides);
    let (ssh_config, accept_new_host_keys) = root
        .get("ssh")
        .map(|value| read_ssh(reader, value, path))
        .unwrap_or_default();
    let timing = root
        .get("session")
        .and_then(|value| read_timing(reader, value))
        .unwrap_or_default();
    Settings {
        nodes,
        launcher,
        exec,
        ssh_config,
        accept_new_host_keys,
        in_container: root
            .get("in_container")
            .and_then(|value| reader.boolean(value)),
        container: root
            .get("container")
            .and_then(|value| read_container(reader, value, path)),
        suite: root
            .get("suite")
            .and_then(|value| read_suite(reader, value, path)),
        master_port: root
            .get("master_port")
            .and_then(|value| port(reader, value))
            .or(default.master_port),
        max_parallel: root
            .get("max_parallel")
            .and_then(|value| number(reader, value, "a whole number", 1..=4096))
            .map_or(default.max_parallel, usize::from),
        timing,
        defaults,
        overrides,
    }
}

fn read_exec(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Template> {
    let (template, places) = match value.get_ref() {
        DeValue::String(line) => (Template::from_line(line), Vec::new()),
        DeValue::Array(items) => {
            let mut words = Vec::new();
            for item in items {
                let Some(word) = item.get_ref().as_str() else {
                    reader.mismatch(item, "a text; numbers go in quotes");
                    return None;
                };
                words.push(word.to_owned());
            }
            let places = items.iter().map(Spanned::span).collect();
            (Template::from_words(&words), places)
        }
        _ => {
            reader.mismatch(value, EXEC);
            return None;
        }
    };
    template
        .map_err(|problems| {
            for problem in problems {
                let place = problem.word.and_then(|word| places.get(word));
                let span = place.cloned().unwrap_or_else(|| value.span());
                reader.wrong(span, problem.message);
            }
        })
        .ok()
}

/// Whether the launchers that are named go together with there being a command or not.
fn check_launchers(
    reader: &mut Reader<'_>,
    root: &Section<'_>,
    launcher: Option<LauncherKind>,
    overrides: &[(Vec<flagperf_model::NodeName>, NodeSettings)],
) {
    let by_exec = |settings: &NodeSettings| settings.launcher == Some(LauncherKind::Exec);
    let some_by_exec = overrides.iter().any(|(_, settings)| by_exec(settings));
    match (root.get("exec"), root.get("launcher"), launcher) {
        (Some(exec), _, Some(LauncherKind::Local | LauncherKind::Ssh)) if !some_by_exec => {
            let message = "`exec` is never used: `launcher` says how nodes are reached; leave one of them out";
            reader.wrong(exec.span(), message);
        }
        (None, Some(value), Some(LauncherKind::Exec)) => {
            let message = format!("there is no command for this launcher; expected `exec`, {EXEC}");
            reader.wrong(value.span(), message);
        }
        (None, _, _) if some_by_exec => {
            for (key, value) in node_launchers(root) {
                if value.get_ref().as_str() == Some("exec") {
                    let message = format!(
                        "there is no command for this launcher of `{}`; expected `exec` at the top, {EXEC}",
                        flagperf_text::shown(key)
                    );
                    reader.wrong(value.span(), message);
                }
            }
        }
        _ => {}
    }
}

/// The launcher of each table `[node.…]` that has one.
fn node_launchers<'d>(root: &Section<'d>) -> impl Iterator<Item = (&'d str, &'d Value<'d>)> {
    root.get("node")
        .and_then(|value| value.get_ref().as_table())
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| {
            let launcher = value.get_ref().as_table()?.get("launcher")?;
            Some((&**key.get_ref(), launcher))
        })
}

fn read_ssh(reader: &mut Reader<'_>, value: &Value<'_>, file: &Path) -> (Option<String>, bool) {
    let Some(table) = reader.table(value, "[ssh]") else {
        return (None, false);
    };
    let keys = ["config", "accept_new_host_keys"];
    let section = reader.section(table, value.span().start, "[ssh]", &keys);
    let config = section
        .get("config")
        .and_then(|value| read_ssh_config(reader, value, file));
    let accept = section
        .get("accept_new_host_keys")
        .and_then(|value| reader.boolean(value));
    (config, accept.unwrap_or_default())
}

fn read_ssh_config(reader: &mut Reader<'_>, value: &Value<'_>, file: &Path) -> Option<String> {
    let text = reader.text(value, "the path of a configuration file of ssh")?;
    // To ssh this word means that no file is read.
    if text == "none" {
        return Some(text);
    }
    if text.starts_with('~') {
        let message =
            "`~` is not replaced here; expected the whole path, or one relative to this file";
        reader.wrong(value.span(), message);
        return None;
    }
    if let Some(at) = text.find('\0') {
        let place = within(reader, value.span(), &text, at..at + 1);
        reader.wrong(place, "a path cannot contain a NUL character");
        return None;
    }
    let directory = file.parent().unwrap_or(Path::new(""));
    let path = directory.join(&text).into_os_string().into_string();
    if path.is_err() {
        let message = "the directory of this file is not UTF-8 text; expected an absolute path";
        reader.wrong(value.span(), message);
    }
    path.ok()
}

fn read_timing(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Timing> {
    let table = reader.table(value, "[session]")?;
    let keys = ["connect", "heartbeat", "silent", "lost"];
    let section = reader.section(table, value.span().start, "[session]", &keys);
    let default = Timing::default();
    let mut read = |key: &str, default: Duration| {
        section
            .get(key)
            .map_or(Some(default), |value| duration(reader, value))
    };
    let connect = read("connect", default.connect);
    let heartbeat = read("heartbeat", default.heartbeat);
    let silent = read("silent", default.silent);
    let lost = read("lost", default.lost);
    let timing = Timing {
        connect: connect?,
        heartbeat: heartbeat?,
        silent: silent?,
        lost: lost?,
    };
    let steps = [
        ("heartbeat", timing.heartbeat),
        ("silent", timing.silent),
        ("lost", timing.lost),
    ];
    for pair in steps.windows(2) {
        let [(short, shorter), (long, longer)] = *pair else {
            continue;
        };
        if shorter < longer {
            continue;
        }
        let by_default = |key: &str| match section.get(key) {
            Some(_) => "",
            None => " by default",
        };
        let message = format!(
            "`{long}` ({}{}) must be longer than `{short}` ({}{})",
            written(longer),
            by_default(long),
            written(shorter),
            by_default(short)
        );
        let place = section.get(long).or_else(|| section.get(short));
        reader.wrong(place.map_or_else(|| value.span(), Spanned::span), message);
    }
    Some(timing)
}
