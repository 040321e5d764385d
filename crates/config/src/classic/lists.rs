//! Ports, nodes, options and cases.

use std::collections::HashMap;

use flagperf_model::{NodeName, Suite};
use flagperf_text::{Data, Spanned, printable, shown};

use super::Place;
use super::findings::{Findings, Given};
use super::keys::{case_example, case_value};
use super::take::{known, text_or_none};
use crate::settings::split;

/// A port, as a number or as a text.
pub(super) fn port(found: &mut Findings<'_>, given: &Given) -> Option<u16> {
    let value = known(found, given)?.clone();
    port_of(found, given, &value)
}

fn port_of(found: &mut Findings<'_>, given: &Given, value: &Spanned<Data>) -> Option<u16> {
    const EXPECTED: &str = "a port from 1 to 65535, such as \"22\"";
    let number = match &value.value {
        Data::Int(number) => u16::try_from(*number).ok(),
        Data::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    let number = number.filter(|port| *port > 0);
    if number.is_none() {
        let at = if value.span.is_empty() {
            given.at()
        } else {
            given.inside(value.span.clone())
        };
        let message = match &value.value {
            Data::Int(number) => format!("{number} is out of range; expected {EXPECTED}"),
            Data::Text(text) => format!(
                "`{}` is no port; expected {EXPECTED}",
                printable(shown(text))
            ),
            other => format!("this is {}; expected {EXPECTED}", other.kind()),
        };
        found.wrong(&at, message);
    }
    number
}

/// A list of ports.
pub(super) fn ports(found: &mut Findings<'_>, given: &Given) -> Option<Vec<u16>> {
    let value = known(found, given)?;
    match &value.value {
        Data::None => Some(Vec::new()),
        Data::List(items) => {
            let items = items.clone();
            let ports: Vec<Option<u16>> = items
                .iter()
                .map(|item| port_of(found, given, item))
                .collect();
            ports.into_iter().collect()
        }
        other => {
            let message = format!(
                "this is {}; expected a list of ports such as [\"2222\"]",
                other.kind()
            );
            found.wrong(&given.at(), message);
            None
        }
    }
}

/// The nodes, each once.
pub(super) fn hosts(found: &mut Findings<'_>, given: &Given) -> Option<Vec<NodeName>> {
    const EXPECTED: &str =
        "a list of names or addresses such as [\"192.168.1.2\", \"192.168.1.3\"]";
    let items = match &known(found, given)?.value {
        Data::List(items) if items.is_empty() => {
            found.wrong(
                &given.at(),
                format!("no node is named; expected {EXPECTED}"),
            );
            return None;
        }
        Data::List(items) => items.clone(),
        other => {
            found.wrong(
                &given.at(),
                format!("this is {}; expected {EXPECTED}", other.kind()),
            );
            return None;
        }
    };
    let mut seen: HashMap<NodeName, usize> = HashMap::new();
    let mut hosts = Vec::new();
    let mut complete = true;
    for item in &items {
        let at = given.inside(item.span.clone());
        let host = match &item.value {
            Data::Text(text) => NodeName::new(text.trim()).map_err(|error| {
                let hint = if text.contains('@') {
                    "; a user is no part of it"
                } else {
                    ""
                };
                format!(
                    "{}; expected a name or an address such as \"192.168.1.2\"{hint}",
                    printable(error.to_string())
                )
            }),
            other => Err(format!(
                "this is {}; expected a text such as \"192.168.1.2\"",
                other.kind()
            )),
        };
        let repeated = host.as_ref().ok().and_then(|host| seen.get(host)).copied();
        match (host, repeated) {
            (Err(message), _) => {
                found.wrong(&at, message);
                complete = false;
            }
            (Ok(host), Some(first)) => {
                let message = format!(
                    "`{host}` is named twice, the first time in line {first}; a node has one rank, so leave one out"
                );
                found.wrong(&at, message);
                complete = false;
            }
            (Ok(host), None) => {
                seen.insert(host.clone(), found.line(&at));
                hosts.push(host);
            }
        }
    }
    complete.then_some(hosts)
}

/// Options of the engine, split into words.
pub(super) fn options(
    found: &mut Findings<'_>,
    given: &Given,
    example: &str,
) -> Option<Vec<String>> {
    let Some(text) = text_or_none(found, given, example) else {
        return Some(Vec::new());
    };
    if text.contains(['$', '`']) {
        let message = "this is split into words as a shell would, but no shell reads it: `$` and backquotes stand for themselves";
        found.warn(&given.at(), message);
    }
    match split(&text) {
        Ok(words) => Some(words),
        Err(problem) => {
            found.wrong(
                &given.at(),
                format!("{problem}; expected options such as {example}"),
            );
            None
        }
    }
}

/// Cases with what is said about each, and where they stand.
pub(super) type Cases = Vec<(String, String, Place)>;

/// The cases.
pub(super) fn cases(found: &mut Findings<'_>, given: &Given, suite: Suite) -> Option<Cases> {
    let (case, about) = case_example(suite);
    let expected = format!("cases such as \"{case}\": \"{about}\"");
    let entries = match &known(found, given)?.value {
        Data::None => {
            found.wrong(
                &given.at(),
                format!("no case is named, or all are comments; expected {expected}"),
            );
            return None;
        }
        Data::Map(entries) if entries.is_empty() => {
            found.wrong(
                &given.at(),
                format!("no case is named, or all are comments; expected {expected}"),
            );
            return None;
        }
        Data::Map(entries) => entries.clone(),
        other => {
            found.wrong(
                &given.at(),
                format!("this is {}; expected {expected}", other.kind()),
            );
            return None;
        }
    };
    let mut cases = Cases::new();
    let mut complete = true;
    for (key, value) in &entries {
        let at = given.inside(key.span.clone());
        let about = match &value.value {
            Data::Text(text) if !text.trim().is_empty() && !text.contains('\0') => Ok(text.clone()),
            Data::Text(_) => Err("this is empty".to_owned()),
            other => Err(format!("this is {}", other.kind())),
        };
        if key.value.trim().is_empty() {
            found.wrong(&at, format!("this case has no name; expected {expected}"));
            complete = false;
        }
        match about {
            Ok(about) => cases.push((key.value.clone(), about, found.place(&at))),
            Err(what) => {
                let at = if value.span.is_empty() {
                    at
                } else {
                    given.inside(value.span.clone())
                };
                let message = format!(
                    "{what}; expected a text behind `{}`, {}, such as \"{about}\"",
                    printable(shown(&key.value)),
                    case_value(suite),
                    about = case_example(suite).1
                );
                found.wrong(&at, message);
                complete = false;
            }
        }
    }
    complete.then_some(cases)
}
