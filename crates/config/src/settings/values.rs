//! Single values of `flagperf.toml`: durations, ports, names and paths, each with its own check.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use flagperf_text::{Reader, printable, shown};
use toml::Spanned;
use toml::de::DeValue;

type Value<'d> = Spanned<DeValue<'d>>;

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_hours(24);

/// Where a part of a text stands in the document, or the whole value where an escape has moved it.
pub(super) fn within(
    reader: &Reader<'_>,
    value: Range<usize>,
    text: &str,
    part: Range<usize>,
) -> Range<usize> {
    match reader.source()[value.clone()].find(text) {
        Some(at) => value.start + at + part.start..value.start + at + part.end,
        None => value,
    }
}

/// A duration such as `"2s"`.
pub(super) fn duration(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Duration> {
    const EXPECTED: &str = r#"a duration such as "2s", "500ms" or "1m""#;
    let text = reader.text(value, EXPECTED)?;
    let Some(duration) = parse_duration(&text) else {
        let message = format!("`{}` is no duration; expected {EXPECTED}", shown(&text));
        reader.wrong(value.span(), message);
        return None;
    };
    if !(SHORTEST..=LONGEST).contains(&duration) {
        let message = "this is out of range; expected between \"10ms\" and \"24h\"";
        reader.wrong(value.span(), message);
        return None;
    }
    Some(duration)
}

fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let seconds = match text[end..].trim_start() {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let number: f64 = text[..end].parse().ok()?;
    // To the millisecond: 0.3 of anything is not a binary number.
    let milliseconds = (number * seconds * 1000.0).round();
    Duration::try_from_secs_f64(milliseconds / 1000.0).ok()
}

/// A duration as people write it.
pub(super) fn written(duration: Duration) -> String {
    match duration.as_millis() {
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

/// A whole number in a range.
pub(super) fn number(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    what: &str,
    range: RangeInclusive<u16>,
) -> Option<u16> {
    let expected = format!("{what} from {} to {}", range.start(), range.end());
    let number = reader.integer(value, &expected)?;
    let fits = u16::try_from(number)
        .ok()
        .filter(|number| range.contains(number));
    if fits.is_none() {
        let message = format!("{number} is out of range; expected {expected}");
        reader.wrong(value.span(), message);
    }
    fits
}

/// A port.
pub(super) fn port(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<u16> {
    number(reader, value, "a port", 1..=u16::MAX)
}

/// A host name or an address. What a shell or ssh could take for more than that is refused.
pub(super) fn address(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<String> {
    let expected = "a host name or an address such as \"10.0.0.1\"";
    word(reader, value, expected, "_-.:%", "_ - . : %")
}

/// The name of a user, with a domain or without.
pub(super) fn user(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<String> {
    word(
        reader,
        value,
        "the name of a user",
        r"_-.@+\",
        r"_ - . @ + \",
    )
}

fn word(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    expected: &str,
    extra: &str,
    listed: &str,
) -> Option<String> {
    let text = reader.text(value, expected)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || extra.contains(c);
    let problem = if text.starts_with('-') {
        "begins with `-`, as an option does".to_owned()
    } else if let Some(c) = text.chars().find(|c| !allowed(*c)) {
        format!("has the character {c:?} in it")
    } else {
        return Some(text);
    };
    let message = format!(
        "`{}` {problem}; expected {expected}, of letters, digits and `{listed}`",
        printable(shown(&text))
    );
    reader.wrong(value.span(), message);
    None
}

/// A path on a node.
pub(super) fn path(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<String> {
    let text = reader.text(value, "an absolute path on the node")?;
    let problem = if text.contains(char::is_control) {
        "has a control character in it"
    } else if !text.starts_with('/') {
        "does not begin with `/`"
    } else {
        return Some(text);
    };
    let message = format!(
        "`{}` {problem}; expected an absolute path on the node",
        printable(shown(&text))
    );
    reader.wrong(value.span(), message);
    None
}

/// A table of environment variables.
pub(super) fn variables(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
) -> Option<BTreeMap<String, String>> {
    let table = reader.table(value, "the variables")?;
    let mut variables = BTreeMap::new();
    for (key, value) in table {
        let name: &str = key.get_ref();
        let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !valid {
            let message = format!(
                "`{}` cannot name a variable; expected letters, digits and `_`, no digit first",
                printable(shown(name))
            );
            reader.wrong(key.span(), message);
        }
        match value.get_ref().as_str() {
            None => reader.mismatch(value, "a text; numbers go in quotes"),
            Some(text) if text.contains('\0') => {
                reader.wrong(value.span(), "a variable cannot contain a NUL character");
            }
            Some(text) => {
                variables.insert(name.to_owned(), text.to_owned());
            }
        }
    }
    Some(variables)
}
