//! `--set KEY=VALUE`: what the command line says in the place of a file.

use std::path::Path;

use flagperf_model::Suite;
use flagperf_text::python::{Unknown, evaluate};
use flagperf_text::{Data, Spanned, nearest, printable, quoted, shown, yaml};

use super::findings::{At, Findings, Given};
use super::keys::{Form, Key, Need, find, names, suite_name};

/// How errors name the command line.
const WHERE: &str = "--set";

/// Reads what is said in the place of keys. Of several about one key the last counts.
pub(super) fn read(
    found: &mut Findings<'_>,
    suite: Suite,
    set: &[String],
) -> Vec<(&'static Key, Given)> {
    let mut given: Vec<(&'static Key, Given)> = Vec::new();
    for word in set {
        let text = found.add(Path::new(WHERE), word.clone());
        let at = |span| At { text, span };
        let Some((name, value)) = word.split_once('=') else {
            let message = "expected KEY=VALUE, such as SSH_PORT=2222";
            found.wrong(&at(0..word.len()), message);
            continue;
        };
        let key = find(name.trim()).filter(|key| key.need(suite) != Need::No);
        let Some(key) = key else {
            let hint = match nearest(name, names(suite)) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("the keys are {}", quoted(names(suite))),
            };
            let message = format!(
                "the suite {} has no key `{}`; {hint}",
                suite_name(suite),
                printable(shown(name))
            );
            found.wrong(&at(0..name.len()), message);
            continue;
        };
        let value = read_value(suite, key.form, value, name.len() + 1);
        let one = Given {
            key: at(0..name.len()),
            value,
        };
        given.retain(|(known, _)| known.name != key.name);
        given.push((key, one));
    }
    given
}

/// A value in the syntax of the file that it replaces something in, or as bare text.
fn read_value(suite: Suite, form: Form, value: &str, at: usize) -> Result<Spanned<Data>, Unknown> {
    let span = at..at + value.len();
    let quoted = value.trim_start().starts_with(['"', '\'']);
    let none = matches!(value.trim(), "" | "~" | "null" | "None");
    if form == Form::TextOrNone && none {
        return Ok(Spanned::new(Data::None, span));
    }
    // Blanks in the place of what is before, so that places are those of the whole word.
    let text = format!("{}{value}", " ".repeat(at));
    let parsed = if suite == Suite::Training {
        evaluate(&text).or_else(|first| from_yaml(&text).map_err(|_| first))
    } else {
        from_yaml(&text).or_else(|first| evaluate(&text).map_err(|_| first))
    };
    match parsed {
        Ok(parsed) if form == Form::Other || (quoted && parsed.value.as_text().is_some()) => {
            Ok(Spanned::new(parsed.value, span))
        }
        Err(problem) if form == Form::Other => Err(Unknown {
            span,
            message: format!("this cannot be read: {}", problem.message),
        }),
        _ => Ok(Spanned::new(Data::Text(value.to_owned()), span)),
    }
}

fn from_yaml(text: &str) -> Result<Spanned<Data>, flagperf_text::Problem> {
    match yaml::read(text) {
        Ok(document) => Ok(document.root),
        Err(mut problems) => Err(problems.swap_remove(0)),
    }
}
