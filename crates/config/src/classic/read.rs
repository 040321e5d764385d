//! Whole files.

use flagperf_model::Suite;
use flagperf_text::python::{self, Module, Unknown};
use flagperf_text::{Data, Spanned, decode, nearest, printable, quoted, shown, yaml};

use super::fields::Fields;
use super::findings::{At, Findings, Given};
use super::keys::{KEYS, Key, Need, find, names, suite_name};
use super::{ClassicFiles, ConfigFile, Place, SuiteConfig, SuiteReading, overrides};
use crate::settings::SettingsErrors;

type Keys = Vec<(&'static Key, Given)>;

/// Reads the files of a suite. `set` are further values that count more than those of the files, each
/// `KEY=VALUE`; a value is in the syntax of the file, or a bare text where a text is wanted.
///
/// # Errors
///
/// Every mistake of all files and of `set` at once; of a file whose syntax is wrong only those of syntax.
pub fn read_classic(
    files: &ClassicFiles<'_>,
    set: &[String],
) -> Result<SuiteReading, SettingsErrors> {
    let mut found = Findings::default();
    let (suite, mut keys, complete) = match files {
        ClassicFiles::Base(file) => read_yaml(&mut found, Suite::Base, file),
        ClassicFiles::Operation(file) => read_yaml(&mut found, Suite::Operation, file),
        ClassicFiles::Inference(file) => read_yaml(&mut found, Suite::Inference, file),
        ClassicFiles::Training { cluster, test } => {
            let (mut keys, whole) = read_module(&mut found, cluster, true);
            let (more, also_whole) = read_module(&mut found, test, false);
            keys.extend(more);
            (Suite::Training, keys, whole && also_whole)
        }
    };
    for (key, given) in overrides::read(&mut found, suite, set) {
        keys.retain(|(known, _)| known.name != key.name);
        keys.push((key, given));
    }
    if complete {
        note_missing(&mut found, suite, &keys);
    }
    finish(found, suite, Fields::default(), &keys)
}

/// Puts values in the place of those of a configuration, each `KEY=VALUE` with the keys of the original's
/// files. `places` are those of its cases.
///
/// # Errors
///
/// Every mistake at once.
pub fn override_suite(
    config: SuiteConfig,
    places: Vec<Place>,
    set: &[String],
) -> Result<SuiteReading, SettingsErrors> {
    let mut found = Findings::default();
    let suite = config.suite();
    let keys = overrides::read(&mut found, suite, set);
    finish(found, suite, Fields::of(config, places), &keys)
}

fn finish(
    mut found: Findings<'_>,
    suite: Suite,
    mut fields: Fields,
    keys: &Keys,
) -> Result<SuiteReading, SettingsErrors> {
    for (key, given) in keys {
        fields.take(&mut found, suite, key, given);
    }
    let config = fields.finish(suite);
    if config.is_none() && found.count() == 0 {
        let at = At {
            text: 0,
            span: 0..0,
        };
        found.wrong(&at, "something that must be said is missing here");
    }
    let warnings = found.finish()?;
    let Some((config, case_places)) = config else {
        return Err(SettingsErrors(Vec::new()));
    };
    Ok(SuiteReading {
        config,
        case_places,
        warnings,
    })
}

fn read_text<'a>(found: &mut Findings<'a>, file: &ConfigFile<'a>) -> (usize, Option<&'a str>) {
    match decode(file.bytes) {
        Ok(text) => (found.add(file.path, text), Some(text)),
        Err(problem) => {
            let text = found.add(file.path, "");
            found.problems(text, vec![problem]);
            (text, None)
        }
    }
}

/// The keys of a `host.yaml`, and whether those that are not there are missing.
fn read_yaml<'a>(
    found: &mut Findings<'a>,
    suite: Suite,
    file: &ConfigFile<'a>,
) -> (Suite, Keys, bool) {
    let (text, source) = read_text(found, file);
    let Some(source) = source else {
        return (suite, Keys::new(), false);
    };
    let document = match yaml::read(source) {
        Ok(document) => document,
        Err(problems) => {
            found.problems(text, problems);
            return (suite, Keys::new(), false);
        }
    };
    found.remarks(text, document.remarks);
    let entries = match document.root {
        Spanned {
            value: Data::Map(entries),
            ..
        } => entries,
        Spanned {
            value: Data::None, ..
        } => Vec::new(),
        Spanned { value, span } => {
            let message = format!(
                "this is {}; expected lines such as `VENDOR: \"nvidia\"`",
                value.kind()
            );
            found.wrong(&At { text, span }, message);
            return (suite, Keys::new(), false);
        }
    };
    let mut keys = Keys::new();
    for (name, value) in entries {
        let at = At {
            text,
            span: name.span,
        };
        match find(&name.value).filter(|key| key.need(suite) != Need::No) {
            Some(key) => keys.push((
                key,
                Given {
                    key: at,
                    value: Ok(value),
                },
            )),
            None => warn_unknown(found, suite, &at, &name.value),
        }
    }
    (suite, keys, true)
}

fn warn_unknown(found: &mut Findings<'_>, suite: Suite, at: &At, name: &str) {
    let suite_name = suite_name(suite);
    let message = if find(name).is_some() {
        format!("`{name}` means nothing to the suite {suite_name} and is ignored")
    } else {
        let hint = nearest(name, names(suite))
            .map(|close| format!("; did you mean `{close}`?"))
            .unwrap_or_default();
        format!(
            "the suite {suite_name} has no key `{}`, so it is ignored{hint}",
            printable(shown(name))
        )
    };
    found.warn(at, message);
}

/// The keys of a module, and whether those that are not there are missing.
fn read_module<'a>(
    found: &mut Findings<'a>,
    file: &ConfigFile<'a>,
    of_cluster: bool,
) -> (Keys, bool) {
    let (text, source) = read_text(found, file);
    let Some(source) = source else {
        return (Keys::new(), false);
    };
    let module = match python::read(source, &mut |_| None) {
        Ok(module) => module,
        Err(problems) => {
            found.problems(text, problems);
            return (Keys::new(), false);
        }
    };
    found.remarks(text, module.remarks.clone());
    warn_unknown_names(found, text, &module, of_cluster);
    let wanted = KEYS
        .iter()
        .filter(|key| key.need(Suite::Training) != Need::No && key.of_cluster == of_cluster);
    let mut keys = Keys::new();
    for key in wanted {
        let at = module
            .binding(key.name)
            .map_or(0..0, |binding| binding.name.span.clone());
        if let Some(value) = module.get(key.name) {
            let given = Given {
                key: At { text, span: at },
                value: value.cloned().map_err(|unknown| needed(key, unknown)),
            };
            keys.push((key, given));
        }
    }
    (keys, true)
}

/// That a value cannot be told which is needed.
fn needed(key: &Key, unknown: &Unknown) -> Unknown {
    Unknown {
        span: unknown.span.clone(),
        message: format!(
            "`{name}` is needed, but {}, or say --set {name}=VALUE",
            unknown.message,
            name = key.name
        ),
    }
}

/// Warns about names that look like keys, but are none. A module may have names of its own, which it then
/// uses.
fn warn_unknown_names(found: &mut Findings<'_>, text: usize, module: &Module, of_cluster: bool) {
    for binding in module.bindings() {
        let name = &*binding.name.value;
        if binding.imported || binding.used || name.starts_with('_') {
            continue;
        }
        let at = At {
            text,
            span: binding.name.span.clone(),
        };
        match find(name).filter(|key| key.need(Suite::Training) != Need::No) {
            Some(key) if key.of_cluster == of_cluster => {}
            Some(key) => {
                let file = if key.of_cluster {
                    "cluster_conf.py"
                } else {
                    "test_conf.py"
                };
                found.warn(
                    &at,
                    format!("`{name}` is read from {file}, and ignored here"),
                );
            }
            None => {
                let looks = !name.contains(|c: char| c.is_ascii_lowercase());
                if looks || nearest(name, names(Suite::Training)).is_some() {
                    warn_unknown(found, Suite::Training, &at, name);
                }
            }
        }
    }
}

/// Notes which keys are missing, those of a file together.
fn note_missing(found: &mut Findings<'_>, suite: Suite, keys: &Keys) {
    let missing = |text: usize, of_cluster: Option<bool>, found: &mut Findings<'_>| {
        let missing: Vec<&Key> = KEYS
            .iter()
            .filter(|key| key.need(suite) == Need::Must)
            .filter(|key| of_cluster.is_none_or(|wanted| key.of_cluster == wanted))
            .filter(|key| !keys.iter().any(|(known, _)| known.name == key.name))
            .collect();
        let (between, verb) = match (of_cluster, missing.len()) {
            (_, 0) => return,
            (None, 1) => (": ", "is"),
            (None, _) => (": ", "are"),
            (Some(_), 1) => (" = ", "is"),
            (Some(_), _) => (" = ", "are"),
        };
        let lines: Vec<String> = missing
            .iter()
            .map(|key| format!("{}{between}{}", key.name, key.example))
            .collect();
        let message = format!(
            "{} {verb} missing; for example {}",
            quoted(missing.iter().map(|key| key.name)),
            quoted(lines.iter().map(|line| &**line))
        );
        found.wrong(&At { text, span: 0..0 }, message);
    };
    if suite == Suite::Training {
        missing(0, Some(true), found);
        missing(1, Some(false), found);
    } else {
        missing(0, None, found);
    }
}
