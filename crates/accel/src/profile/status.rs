//! The part of a profile on the command that tells the state of the chips.

use std::collections::BTreeMap;

use flagperf_model::{FIELDS, INTERVAL_MS, StatusTool};
use flagperf_text::{Reader, Section, shown};

use super::read::{Value, is_variable, list, positive, texts};
use crate::READERS;

const KEYS: [&str; 9] = [
    "command",
    "fields",
    "repeat",
    "search",
    "environment",
    "reader",
    "interval_s",
    "timeout_s",
    "start_timeout_s",
];

/// No tool is asked more often than this, in seconds.
const SHORTEST_S: f64 = 0.01;

/// Seconds of silence after which a tool is ended, unless the profile says otherwise.
const TIMEOUT_S: f64 = 5.0;

/// The same for its first words.
const START_TIMEOUT_S: f64 = 15.0;

/// A tool may be silent for at most this long, in seconds.
const LONGEST_S: f64 = 60.0;

pub(super) fn read_status(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    vendor: &str,
) -> Option<StatusTool> {
    const COMMAND: &str = "the command and its arguments, such as [\"npu-smi\", \"info\"]";
    let table = reader.table(value, "the command that tells the state of the chips")?;
    let section = reader.section(table, value.span().start, "`status`", &KEYS);
    let command = section
        .require(reader, "command", COMMAND)
        .and_then(|value| {
            let words = list(reader, value, COMMAND)?;
            if words.is_empty() {
                reader.wrong(value.span(), format!("this is empty; expected {COMMAND}"));
            }
            Some(words)
        });
    let fields = texts(reader, &section, "fields", "a list of names of fields").unwrap_or_default();
    if let Some(command) = &command {
        check_fields(reader, &section, command, &fields);
    }
    let repeat =
        texts(reader, &section, "repeat", "a list of further arguments").unwrap_or_default();
    if let Some(value) = section.get("repeat")
        && !repeat.iter().any(|word| word.contains(INTERVAL_MS))
    {
        let message = format!("none of these has `{INTERVAL_MS}`, the time between two samples");
        reader.wrong(value.span(), message);
    }
    let search = texts(reader, &section, "search", "a list of directories").unwrap_or_default();
    let env = read_environment(reader, &section);
    let names: Vec<(&str, &str)> = READERS.iter().map(|name| (*name, *name)).collect();
    let known = section
        .require(reader, "reader", "the name of the reader of what it prints")
        .and_then(|value| reader.word(value, &names));
    let interval_ns = time(reader, &section, "interval_s", 1.0);
    let timeout_ns = time(reader, &section, "timeout_s", TIMEOUT_S);
    let start_timeout_ns = time(reader, &section, "start_timeout_s", START_TIMEOUT_S);
    Some(StatusTool {
        vendor: vendor.to_owned(),
        command: command?,
        fields,
        repeat,
        search,
        env,
        reader: known?.to_owned(),
        interval_ns,
        timeout_ns,
        start_timeout_ns,
    })
}

/// Fields that have no place are as wrong as a place without fields.
fn check_fields(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    command: &[String],
    fields: &[String],
) {
    let has_place = command.iter().any(|word| word.contains(FIELDS));
    match (section.get("command"), section.get("fields")) {
        (Some(value), None) if has_place => {
            let message = format!("`{FIELDS}` stands for `fields`, and there is no such key");
            reader.wrong(value.span(), message);
        }
        (_, Some(value)) if !has_place => {
            let message = format!("`command` has no `{FIELDS}` to put them in");
            reader.wrong(value.span(), message);
        }
        (_, Some(value)) => {
            for field in fields.iter().filter(|field| field.contains(',')) {
                let message = format!("`{}` is more than one name of a field", shown(field));
                reader.wrong(value.span(), message);
            }
        }
        _ => {}
    }
}

fn read_environment(reader: &mut Reader<'_>, section: &Section<'_>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let Some(value) = section.get("environment") else {
        return env;
    };
    for (name, value) in reader
        .table(value, "variables and their values")
        .into_iter()
        .flatten()
    {
        let text = value.get_ref().as_str();
        if !is_variable(name.get_ref()) {
            let message = format!("`{}` is no name of a variable", shown(name.get_ref()));
            reader.wrong(name.span(), message);
        } else if let Some(text) = text.filter(|text| !text.contains('\0')) {
            env.insert(name.get_ref().to_string(), text.to_owned());
        } else {
            reader.mismatch(value, "a text without a NUL character");
        }
    }
    env
}

/// A number of seconds, in nanoseconds.
fn time(reader: &mut Reader<'_>, section: &Section<'_>, key: &str, usual: f64) -> u64 {
    let expected = format!("seconds from {SHORTEST_S} to {LONGEST_S}");
    let seconds = section.get(key).and_then(|value| {
        let seconds = positive(reader, value, &expected)?;
        if !(SHORTEST_S..=LONGEST_S).contains(&seconds) {
            let message = format!("this is out of range; expected {expected}");
            reader.wrong(value.span(), message);
        }
        Some(seconds)
    });
    (seconds.unwrap_or(usual).clamp(SHORTEST_S, LONGEST_S) * 1e9).round() as u64
}
