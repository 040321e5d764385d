//! The parts of `flagperf.toml` that are about nodes: `nodes`, `[defaults]` and `[node.…]`.

use std::collections::HashSet;
use std::ops::Range;

use flagperf_model::{NodeName, ProgramSource};
use flagperf_text::{Reader, Section, locate, nearest};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::NodeSettings;
use super::values::{address, path, port, user, variables, within};
use crate::launcher::LauncherKind;
use crate::listing::{SINGLY, repeated, rest_of};
use crate::nodeset::{MOST_NODES, NodeSet, fold};

/// Keys of `[defaults]`.
const FOR_ALL: [&str; 5] = ["user", "port", "env", "directory", "program"];

/// Keys of a table `[node.…]`.
const FOR_SOME: [&str; 8] = [
    "launcher",
    "host",
    "address",
    "user",
    "port",
    "env",
    "directory",
    "program",
];

/// The names in all keys of `[node]` together. Without a bound a short file of long ranges would
/// take all memory.
const MOST_MENTIONS: usize = 10 * MOST_NODES;

type Placed = Vec<(NodeName, Range<usize>)>;

/// Reads `nodes`. The answer is absent if there is a mistake in it.
pub(super) fn read_nodes(
    reader: &mut Reader<'_>,
    value: &Spanned<DeValue<'_>>,
) -> Option<Vec<NodeName>> {
    const EXPECTED: &str = r#"a text such as "node[01-16]", or a list of such texts"#;
    let mut placed = Placed::new();
    let mut complete = true;
    let single = std::slice::from_ref(value);
    let texts = match value.get_ref() {
        DeValue::Array(items) => items,
        _ => single,
    };
    for item in texts {
        match item.get_ref().as_str() {
            None => {
                reader.mismatch(item, EXPECTED);
                complete = false;
            }
            Some(text) => match named(reader, item.span(), text) {
                Some(more) if placed.len() + more.len() <= MOST_NODES => placed.extend(more),
                Some(_) => {
                    let message =
                        "with this there are more than 100,000 nodes, the most that can be named";
                    reader.wrong(item.span(), message);
                    return None;
                }
                None => complete = false,
            },
        }
    }
    if complete && placed.is_empty() {
        let message = format!("no node is named; expected {EXPECTED}");
        reader.wrong(value.span(), message);
        return None;
    }
    refuse_repeated(reader, &placed);
    complete.then(|| placed.into_iter().map(|(name, _)| name).collect())
}

fn refuse_repeated(reader: &mut Reader<'_>, placed: &Placed) {
    let pairs = repeated(placed.iter().map(|(name, _)| name));
    for (first, second) in pairs.iter().take(SINGLY) {
        let ((name, span), (_, before)) = (&placed[*second], &placed[*first]);
        let message = if span == before {
            format!("`{name}` is named twice here")
        } else {
            let first = locate(reader.source(), before.clone(), String::new());
            format!(
                "`{name}` is named twice; the first time in line {}, column {}",
                first.line, first.column
            )
        };
        reader.wrong(span.clone(), message);
    }
    if let Some((_, second)) = pairs.get(SINGLY) {
        let names: Vec<NodeName> = pairs.iter().map(|(_, at)| placed[*at].0.clone()).collect();
        let message = format!("{} named twice", rest_of(&names));
        reader.wrong(placed[*second].1.clone(), message);
    }
}

/// The names in a text, each with its place in the document.
fn named(reader: &mut Reader<'_>, span: Range<usize>, text: &str) -> Option<Placed> {
    let names = NodeSet::parse(text).and_then(|set| set.names(text));
    match names {
        Ok(names) => {
            // Found once: a search for each of many names in a long text would take minutes.
            let whole = within(reader, span.clone(), text, 0..text.len());
            let place = |part: Range<usize>| {
                if whole == span {
                    whole.clone()
                } else {
                    whole.start + part.start..whole.start + part.end
                }
            };
            let placed = names.into_iter().map(|(name, part)| (name, place(part)));
            Some(placed.collect())
        }
        Err(error) => {
            let place = within(reader, span, text, error.span());
            reader.wrong(place, error.message);
            None
        }
    }
}

/// Reads `[defaults]`.
pub(super) fn read_defaults(
    reader: &mut Reader<'_>,
    value: &Spanned<DeValue<'_>>,
) -> Option<NodeSettings> {
    let table = reader.table(value, "[defaults]")?;
    let section = reader.section(table, value.span().start, "[defaults]", &FOR_ALL);
    Some(read_settings(reader, &section))
}

/// Reads the tables `[node.…]`. `known` are the nodes of the file, unless they could not be read.
pub(super) fn read_overrides(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    known: Option<&[NodeName]>,
) -> Vec<(Vec<NodeName>, NodeSettings)> {
    // The map is sorted by name; what counts is the order of the file.
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let known = known.map(|all| (all, all.iter().collect::<HashSet<_>>()));
    let mut overrides = Vec::new();
    let mut mentions = 0;
    let mut unknown_keys = 0;
    for (key, value) in entries {
        let text: &str = key.get_ref();
        let names = match NodeSet::parse(text) {
            Ok(set) if mentions + set.count() > MOST_MENTIONS => {
                let message =
                    "with this the keys of [node] name more than 1,000,000 nodes together";
                reader.wrong(key.span(), message);
                return overrides;
            }
            _ => named(reader, key.span(), text),
        };
        let names: Option<Vec<NodeName>> =
            names.map(|placed| placed.into_iter().map(|(name, _)| name).collect());
        if let (Some(names), Some((all, set))) = (&names, &known) {
            let unknown: Vec<NodeName> = names
                .iter()
                .filter(|name| !set.contains(name))
                .cloned()
                .collect();
            if !unknown.is_empty() {
                // Comparing with every node takes its time, which a few answers are worth.
                unknown_keys += 1;
                let candidates = all.iter().map(NodeName::as_str);
                let close = (unknown_keys <= SINGLY)
                    .then(|| nearest(unknown[0].as_str(), candidates))
                    .flatten()
                    .map(|close| format!("; did you mean `{close}`?"))
                    .unwrap_or_default();
                let unknown = flagperf_text::shown(&fold(&unknown));
                let message = format!("`{unknown}` is not among the `nodes`{close}");
                reader.wrong(key.span(), message);
            }
        }
        mentions += names.as_ref().map_or(0, Vec::len);
        let settings = read_override(reader, key.span(), value, names.as_deref());
        if let (Some(names), Some(settings)) = (names, settings) {
            overrides.push((names, settings));
        }
    }
    overrides
}

fn read_override(
    reader: &mut Reader<'_>,
    key: Range<usize>,
    value: &Spanned<DeValue<'_>>,
    names: Option<&[NodeName]>,
) -> Option<NodeSettings> {
    let table = reader.table(value, "[node.NAME]")?;
    let section = reader.section(table, key.start, "[node.NAME]", &FOR_SOME);
    let mut settings = read_settings(reader, &section);
    settings.launcher = section
        .get("launcher")
        .and_then(|value| reader.word(value, &LauncherKind::ALL));
    settings.host = section.get("host").and_then(|value| address(reader, value));
    if let Some(value) = section.get("address") {
        settings.address = address(reader, value);
        if let Some(names) = names
            && names.len() != 1
        {
            let message = format!(
                "an address is that of one node, but the table is about {} nodes",
                names.len()
            );
            reader.wrong(value.span(), message);
        }
    }
    Some(settings)
}

/// Reads what may be said about all nodes as well as about some.
fn read_settings(reader: &mut Reader<'_>, section: &Section<'_>) -> NodeSettings {
    let directory = section.get("directory");
    let program = section.get("program");
    if let (Some(_), Some(program)) = (directory, program) {
        let message = "the program is either placed in a `directory` or is there already as `program`; leave one of them out";
        reader.wrong(program.span(), message);
    }
    let placed = directory
        .and_then(|value| path(reader, value))
        .map(ProgramSource::PlacedIn);
    let installed = program
        .and_then(|value| path(reader, value))
        .map(ProgramSource::Installed);
    NodeSettings {
        user: section.get("user").and_then(|value| user(reader, value)),
        port: section.get("port").and_then(|value| port(reader, value)),
        env: section
            .get("env")
            .and_then(|value| variables(reader, value))
            .unwrap_or_default(),
        program: placed.or(installed),
        ..NodeSettings::default()
    }
}
