//! The declaration of one parameter, `[param.NAME]` of a `case.toml`.

use std::ops::Range;

use flagperf_model::{ParamDecl, ParamKind, ParamValue};
use flagperf_text::{Reader, Section};
use toml::Spanned;
use toml::de::DeValue;

use crate::params::{expected_value, read_value};
use crate::size::parse_size;

const KINDS: &str = r#"`{ integer = { min = 1, max = 100 } }`, `{ size = { min = "4KiB", max = "1TiB" } }`, `{ choice = ["a", "b"] }` or `"text"`"#;

/// Reads a parameter's declaration.
pub(crate) fn read_param(
    reader: &mut Reader<'_>,
    name: &str,
    key: Range<usize>,
    value: &Spanned<DeValue<'_>>,
) -> Option<ParamDecl> {
    let what = format!("[param.{name}]");
    let table = reader.table(value, &what)?;
    let param = reader.section(table, key.start, &what, &["kind", "default", "help"]);
    let help = param.require_text(reader, "help", "one line of help");
    let kind = param
        .require(reader, "kind", KINDS)
        .and_then(|kind| read_kind(reader, kind));
    let default = match (param.get("default"), &kind) {
        (Some(value), Some(kind)) => read_default(reader, value, kind),
        _ => None,
    };
    Some(ParamDecl {
        kind: kind?,
        default,
        help: help?,
    })
}

fn read_kind(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Option<ParamKind> {
    if value.get_ref().as_str() == Some("text") {
        return Some(ParamKind::Text);
    }
    let Some(table) = value.get_ref().as_table() else {
        reader.wrong(value.span(), format!("this is no kind; expected {KINDS}"));
        return None;
    };
    let keys = ["integer", "size", "choice"];
    let at = value.span().start;
    let kind = reader.section(table, at, "`kind`", &keys);
    match (kind.get("integer"), kind.get("size"), kind.get("choice")) {
        (Some(range), None, None) => {
            let (min, max) = read_range(reader, range, false)?;
            Some(ParamKind::Integer { min, max })
        }
        (None, Some(range), None) => {
            let (min, max) = read_range(reader, range, true)?;
            Some(ParamKind::Size { min, max })
        }
        (None, None, Some(words)) => read_choice(reader, words),
        _ => {
            reader.wrong(value.span(), format!("expected one kind: {KINDS}"));
            None
        }
    }
}

fn read_choice(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Option<ParamKind> {
    let items = reader.array(value, r#"a list of words such as ["a", "b"]"#)?;
    let words: Vec<String> = items
        .iter()
        .filter_map(|item| reader.text(item, "a word"))
        .collect();
    if words.is_empty() {
        reader.wrong(value.span(), "there is nothing to choose from");
        return None;
    }
    Some(ParamKind::Choice(words))
}

fn read_range(
    reader: &mut Reader<'_>,
    value: &Spanned<DeValue<'_>>,
    size: bool,
) -> Option<(i64, i64)> {
    let table = reader.table(value, "the range")?;
    let at = value.span().start;
    let range = reader.section(table, at, "the range", &["min", "max"]);
    let min = read_end(reader, &range, "min", size);
    let max = read_end(reader, &range, "max", size);
    let (min, max) = (min?, max?);
    if min > max {
        reader.wrong(
            value.span(),
            "`min` is larger than `max`; no value would be accepted",
        );
        return None;
    }
    Some((min, max))
}

fn read_end(reader: &mut Reader<'_>, range: &Section<'_>, key: &str, size: bool) -> Option<i64> {
    let expected = if size {
        "a number of bytes, or a size such as \"64MiB\""
    } else {
        "a whole number"
    };
    let value = range.require(reader, key, expected)?;
    match value.get_ref().as_str() {
        Some(text) if size => parse_size(text)
            .map_err(|error| reader.wrong(value.span(), format!("this is not a size: {error}")))
            .ok(),
        _ => reader.integer(value, expected),
    }
}

fn read_default(
    reader: &mut Reader<'_>,
    value: &Spanned<DeValue<'_>>,
    kind: &ParamKind,
) -> Option<ParamValue> {
    let text = match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(_) => reader
            .integer(value, "a whole number")
            .map(|n| n.to_string()),
        _ => {
            reader.mismatch(value, &expected_value(kind));
            None
        }
    }?;
    read_value(&text, kind)
        .map_err(|reason| {
            let message = format!("{reason}; expected {}", expected_value(kind));
            reader.wrong(value.span(), message);
        })
        .ok()
}
