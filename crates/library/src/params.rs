//! Values of parameters as a user gives them, `NAME=VALUE`, checked against what cases declare.

use std::collections::BTreeMap;
use std::fmt;

use flagperf_model::{CaseName, CaseSpec, ParamKind, ParamValue};
use flagperf_text::{nearest, quoted, shown};

use crate::size::{SizeError, format_size, parse_size};

/// The parameters of each selected case, defaults filled in. A parameter without a value is
/// absent: the case decides.
pub type CaseParams = BTreeMap<CaseName, BTreeMap<String, ParamValue>>;

/// What is wrong with one `NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// There is no `=`, or nothing before it.
    #[error("`{text}` is not a parameter; expected NAME=VALUE")]
    Form {
        /// What was given.
        text: String,
    },
    /// The same parameter twice.
    #[error("the parameter `{name}` is given twice, as `{first}` and as `{second}`")]
    Twice {
        /// The parameter.
        name: String,
        /// Its first value.
        first: String,
        /// Its second value.
        second: String,
    },
    /// No selected case has it.
    #[error("no selected case has a parameter `{name}`; {hint}")]
    Unknown {
        /// The parameter.
        name: String,
        /// The nearest name and who has it, or what there is.
        hint: String,
    },
    /// The value is not of the parameter's kind.
    #[error("the parameter `{name}` of {}: {reason}; expected {expected}", cases(.of))]
    Value {
        /// The parameter.
        name: String,
        /// The cases that refuse the value.
        of: Vec<CaseName>,
        /// Why they do.
        reason: String,
        /// What they accept.
        expected: String,
    },
}

fn cases(names: &[CaseName]) -> String {
    quoted(names.iter().map(CaseName::as_str))
}

/// Everything that is wrong with the parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ParamErrors(
    /// At least one.
    pub Vec<ParamError>,
);

impl fmt::Display for ParamErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::select::lines(f, &self.0)
    }
}

/// Gives each `NAME=VALUE` to every selected case that declares the name, and fills in defaults.
///
/// # Errors
///
/// All that is wrong, at once: malformed texts, names given twice, names that no selected case
/// has, and values outside of the declared kind.
pub fn parse_params(
    assignments: &[String],
    specs: &[&CaseSpec],
) -> Result<CaseParams, ParamErrors> {
    let mut errors = Vec::new();
    let given = split_all(assignments, &mut errors);
    let mut values: CaseParams = specs
        .iter()
        .map(|spec| {
            let defaults = spec.params.iter();
            let defaults = defaults
                .filter_map(|(name, decl)| decl.default.clone().map(|value| (name.clone(), value)));
            (spec.name.clone(), defaults.collect())
        })
        .collect();
    for (name, text) in given {
        if !specs.iter().any(|spec| spec.params.contains_key(name)) {
            errors.push(unknown(name, specs));
            continue;
        }
        // Cases that refuse a value for the same reason share one message.
        let mut refused: Vec<(String, String, Vec<CaseName>)> = Vec::new();
        for spec in specs {
            let Some(decl) = spec.params.get(name) else {
                continue;
            };
            match read_value(text, &decl.kind) {
                Ok(value) => {
                    let of_case = values.entry(spec.name.clone()).or_default();
                    of_case.insert(name.to_owned(), value);
                }
                Err(reason) => {
                    let expected = expected_value(&decl.kind);
                    let same = refused
                        .iter_mut()
                        .find(|(why, what, _)| *why == reason && *what == expected);
                    match same {
                        Some((_, _, of)) => of.push(spec.name.clone()),
                        None => refused.push((reason, expected, vec![spec.name.clone()])),
                    }
                }
            }
        }
        errors.extend(refused.into_iter().map(|(reason, expected, of)| {
            let name = name.to_owned();
            ParamError::Value {
                name,
                of,
                reason,
                expected,
            }
        }));
    }
    if errors.is_empty() {
        Ok(values)
    } else {
        Err(ParamErrors(errors))
    }
}

fn split_all<'a>(
    assignments: &'a [String],
    errors: &mut Vec<ParamError>,
) -> Vec<(&'a str, &'a str)> {
    let mut given: Vec<(&str, &str)> = Vec::new();
    for text in assignments {
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            errors.push(ParamError::Form { text: shown(text) });
            continue;
        };
        if let Some((_, first)) = given.iter().find(|(earlier, _)| *earlier == name) {
            errors.push(ParamError::Twice {
                name: shown(name),
                first: shown(first),
                second: shown(value),
            });
            continue;
        }
        given.push((name, value));
    }
    given
}

fn unknown(name: &str, specs: &[&CaseSpec]) -> ParamError {
    let mut owners: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for spec in specs {
        for param in spec.params.keys() {
            owners.entry(param).or_default().push(spec.name.as_str());
        }
    }
    let hint = match nearest(name, owners.keys().copied()) {
        Some(close) => format!(
            "did you mean `{close}`, a parameter of {}?",
            quoted(owners[close].iter().copied())
        ),
        None if owners.is_empty() => "they have no parameters".to_owned(),
        None => format!("they have {}", quoted(owners.keys().copied())),
    };
    ParamError::Unknown {
        name: shown(name),
        hint,
    }
}

/// What a parameter of a kind accepts, for people.
pub(crate) fn expected_value(kind: &ParamKind) -> String {
    match kind {
        ParamKind::Integer { min, max } => format!("a whole number from {min} to {max}"),
        ParamKind::Size { min, max } => format!(
            "a size from {} to {}, such as 64MiB, 2GB or 4096",
            format_size(*min),
            format_size(*max)
        ),
        ParamKind::Choice(words) => format!("one of {}", quoted(words.iter().map(String::as_str))),
        ParamKind::Text => "any text".to_owned(),
    }
}

/// Reads a value of a kind. The error says what is wrong with the text, not what was expected.
pub(crate) fn read_value(text: &str, kind: &ParamKind) -> Result<ParamValue, String> {
    let within = |value: i64, min: i64, max: i64| {
        if (min..=max).contains(&value) {
            Ok(ParamValue::Integer(value))
        } else {
            Err(format!("`{}` is out of range", shown(text)))
        }
    };
    match kind {
        ParamKind::Integer { min, max } => {
            let value = whole_number(text)
                .ok_or_else(|| format!("`{}` is not a whole number", shown(text)))?;
            within(value, *min, *max)
        }
        ParamKind::Size { min, max } => match parse_size(text) {
            Ok(value) => within(value, *min, *max),
            Err(SizeError::TooLarge) => Err(format!("`{}` is out of range", shown(text))),
            Err(error) => Err(format!("`{}` is not a size: {error}", shown(text))),
        },
        ParamKind::Choice(words) if words.iter().any(|word| word == text) => {
            Ok(ParamValue::Text(text.to_owned()))
        }
        ParamKind::Choice(words) => {
            let hint = nearest(text, words.iter().map(String::as_str))
                .map(|close| format!(" (did you mean `{close}`?)"))
                .unwrap_or_default();
            Err(format!("`{}` is no choice{hint}", shown(text)))
        }
        ParamKind::Text if text.contains('\0') => Err("it contains a NUL character".to_owned()),
        ParamKind::Text => Ok(ParamValue::Text(text.to_owned())),
    }
}

/// A whole number; `_` may stand between digits.
fn whole_number(text: &str) -> Option<i64> {
    let text = text.trim();
    let between_digits = |at: usize| {
        let digit = |c: Option<&u8>| c.is_some_and(u8::is_ascii_digit);
        let bytes = text.as_bytes();
        at > 0 && digit(bytes.get(at - 1)) && digit(bytes.get(at + 1))
    };
    if text.match_indices('_').any(|(at, _)| !between_digits(at)) {
        return None;
    }
    text.replace('_', "").parse().ok()
}
