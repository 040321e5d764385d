//! Single values, each with its own check.

use std::ops::RangeInclusive;

use flagperf_text::{Data, Spanned, nearest, printable, quoted, shown};

use super::findings::{Findings, Given};

/// The value of a key, or that it is not known.
pub(super) fn known<'g>(found: &mut Findings<'_>, given: &'g Given) -> Option<&'g Spanned<Data>> {
    match &given.value {
        Ok(value) => Some(value),
        Err(unknown) => {
            found.wrong(&given.at(), unknown.message.clone());
            None
        }
    }
}

fn mismatch(found: &mut Findings<'_>, given: &Given, value: &Data, expected: &str) {
    let quotes = match value {
        Data::Int(_) | Data::Float(_) | Data::Bool(_) if expected.starts_with("a text") => {
            "; put it in quotes"
        }
        Data::Text(_) if !expected.contains("text") => ", without quotes",
        _ => "",
    };
    found.wrong(
        &given.at(),
        format!("this is {}; expected {expected}{quotes}", value.kind()),
    );
}

/// A text that is not empty.
pub(super) fn text(found: &mut Findings<'_>, given: &Given, example: &str) -> Option<String> {
    let expected = format!("a text such as {example}");
    match &known(found, given)?.value {
        Data::Text(text) if text.trim().is_empty() => {
            found.wrong(&given.at(), format!("this is empty; expected {expected}"));
            None
        }
        Data::Text(text) if text.contains('\0') => {
            found.wrong(&given.at(), "this has a NUL character in it");
            None
        }
        Data::Text(text) => Some(text.clone()),
        other => {
            mismatch(found, given, other, &expected);
            None
        }
    }
}

/// A text, or nothing in any of its forms. Also absent if it is a mistake.
pub(super) fn text_or_none(
    found: &mut Findings<'_>,
    given: &Given,
    example: &str,
) -> Option<String> {
    match &known(found, given)?.value {
        Data::None => None,
        Data::Text(text) if text.trim().is_empty() => None,
        _ => text(found, given, example),
    }
}

/// A text that a check accepts.
pub(super) fn checked(
    found: &mut Findings<'_>,
    given: &Given,
    text: String,
    fits: fn(&str) -> bool,
    expected: &str,
) -> Option<String> {
    if fits(&text) {
        return Some(text);
    }
    let message = format!("`{}` is not {expected}", printable(shown(&text)));
    found.wrong(&given.at(), message);
    None
}

/// Whether a text can name the directories of a vendor.
pub(crate) fn is_vendor(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

/// Whether a text is a size as container engines write them.
pub(crate) fn is_size(text: &str) -> bool {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_ascii_lowercase();
    let number = digits.starts_with(|c: char| c.is_ascii_digit()) && digits.parse::<f64>().is_ok();
    number
        && matches!(
            &*unit,
            "" | "b" | "k" | "m" | "g" | "t" | "kb" | "mb" | "gb" | "tb"
        )
}

/// Whether a text can name an environment variable.
pub(crate) fn is_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// One of the words of a table, in letters of any case.
pub(super) fn word<T: Copy>(
    found: &mut Findings<'_>,
    given: &Given,
    example: &str,
    words: &[(&str, T)],
) -> Option<T> {
    let text = text(found, given, example)?;
    let chosen = words
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text.trim()));
    if chosen.is_none() {
        let names = || words.iter().map(|(word, _)| *word);
        let hint = nearest(&text, names())
            .map(|close| format!("; did you mean `{close}`?"))
            .unwrap_or_default();
        let message = format!(
            "`{}` is none of {}{hint}",
            printable(shown(&text)),
            quoted(names())
        );
        found.wrong(&given.at(), message);
    }
    chosen.map(|(_, value)| *value)
}

/// True or false.
pub(super) fn flag(found: &mut Findings<'_>, given: &Given) -> Option<bool> {
    match &known(found, given)?.value {
        Data::Bool(flag) => Some(*flag),
        other => {
            mismatch(found, given, other, "True or False");
            None
        }
    }
}

/// A whole number in a range.
pub(super) fn number(
    found: &mut Findings<'_>,
    given: &Given,
    range: RangeInclusive<u32>,
) -> Option<u32> {
    let expected = format!("a whole number from {} to {}", range.start(), range.end());
    match &known(found, given)?.value {
        Data::Int(number) => {
            let fits = u32::try_from(*number)
                .ok()
                .filter(|number| range.contains(number));
            if fits.is_none() {
                found.wrong(
                    &given.at(),
                    format!("{number} is out of range; expected {expected}"),
                );
            }
            fits
        }
        other => {
            mismatch(found, given, other, &expected);
            None
        }
    }
}
