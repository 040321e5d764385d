//! Keys and values of a suite's files and of `--set`.

use std::ops::Range;
use std::path::Path;

use flagperf_model::Suite;
use flagperf_text::{Data, Problem, Spanned, locate, nearest, python, quoted, shown, yaml};

use super::keys::keys;
use super::{SuiteError, SuiteFile};
use crate::settings::SettingsError;

/// The value of a key, or why it is not known.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: Result<Spanned<Data>, (Range<usize>, String)>,
    pub(super) from: From,
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// In the file of this place.
    File(usize),
    /// Behind `--set`.
    Set,
}

/// A mistake at a place of a file.
pub(super) fn at(path: &Path, problem: Problem) -> SuiteError {
    SuiteError::Place(SettingsError {
        path: path.to_owned(),
        line: problem.line,
        column: problem.column,
        excerpt: problem.excerpt,
        message: problem.message,
    })
}

/// All entries; later ones count more.
pub(super) fn entries(
    suite: Suite,
    files: &[SuiteFile],
    set: &[String],
    errors: &mut Vec<SuiteError>,
    warnings: &mut Vec<String>,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (place, file) in files.iter().enumerate() {
        let found = if suite == Suite::Training {
            of_python(files, place, warnings)
        } else {
            of_yaml(file, warnings)
        };
        match found {
            Ok(found) => entries.extend(found.into_iter().map(|(key, value)| Entry {
                key: key.value,
                value,
                from: From::File(place),
            })),
            Err(problems) => errors.extend(problems.into_iter().map(|one| at(&file.path, one))),
        }
    }
    for text in set {
        match read_set(suite, text) {
            Ok(entry) => entries.push(entry),
            Err(message) => errors.push(SuiteError::Set(message)),
        }
    }
    entries
}

type Found = Vec<(
    Spanned<String>,
    Result<Spanned<Data>, (Range<usize>, String)>,
)>;

fn of_yaml(file: &SuiteFile, warnings: &mut Vec<String>) -> Result<Found, Vec<Problem>> {
    let document = yaml::read(&file.text)?;
    remark(&file.path, document.remarks, warnings);
    let root = document.root;
    let Data::Map(entries) = root.value else {
        let message = format!(
            "this is {}; expected keys with values, such as `VENDOR: \"nvidia\"`",
            root.value.kind()
        );
        return Err(vec![locate(&file.text, root.span, message)]);
    };
    for (key, _) in &entries {
        if !keys(Suite::Base)
            .chain(keys(Suite::Operation))
            .chain(keys(Suite::Inference))
            .any(|known| known == key.value)
        {
            unknown(file, key, keys(Suite::Base), warnings);
        }
    }
    Ok(entries
        .into_iter()
        .map(|(key, value)| (key, Ok(value)))
        .collect())
}

fn of_python(
    files: &[SuiteFile],
    place: usize,
    warnings: &mut Vec<String>,
) -> Result<Found, Vec<Problem>> {
    let file = &files[place];
    // The modules lie beside each other and may import each other.
    let mut import = |name: &str| {
        let stem = name.rsplit('.').next().unwrap_or(name);
        let other = files
            .iter()
            .find(|other| other.path.file_stem().is_some_and(|own| own == stem))?;
        Some(other.text.clone())
    };
    let module = python::read(&file.text, &mut import)?;
    remark(&file.path, module.remarks.clone(), warnings);
    let mut found = Vec::new();
    for binding in module.bindings() {
        let key = &binding.name;
        let is_key = keys(Suite::Training).any(|known| known == key.value);
        let shouts = key.value.chars().all(|c| !c.is_lowercase());
        // Names that the module itself needs, and those of other modules, are none of ours.
        if !is_key && shouts && !binding.used && !binding.imported {
            unknown(file, key, keys(Suite::Training), warnings);
        }
        let value = match &binding.value {
            Ok(value) => Ok(value.clone()),
            Err(unknown) => Err((unknown.span.clone(), unknown.message.clone())),
        };
        found.push((key.clone(), value));
    }
    Ok(found)
}

fn remark(path: &Path, problems: Vec<Problem>, warnings: &mut Vec<String>) {
    warnings.extend(problems.into_iter().map(|problem| {
        format!(
            "{}:{}:{}: {}",
            path.display(),
            problem.line,
            problem.column,
            problem.message
        )
    }));
}

fn unknown(
    file: &SuiteFile,
    key: &Spanned<String>,
    known: impl Iterator<Item = &'static str>,
    warnings: &mut Vec<String>,
) {
    let place = locate(&file.text, key.span.clone(), String::new());
    let hint = nearest(&key.value, known)
        .map_or(String::new(), |close| format!("; did you mean `{close}`?"));
    warnings.push(format!(
        "{}:{}:{}: the key `{}` is not known and has no effect{hint}",
        file.path.display(),
        place.line,
        place.column,
        shown(&key.value)
    ));
}

fn read_set(suite: Suite, text: &str) -> Result<Entry, String> {
    let Some((key, value)) = text.split_once('=') else {
        return Err(format!(
            "`{}`: expected KEY=VALUE, such as NPROC_PER_NODE=4",
            shown(text)
        ));
    };
    let key = key.trim();
    if !keys(suite).any(|known| known == key) {
        let hint = match nearest(key, keys(suite)) {
            Some(close) => format!("did you mean `{close}`?"),
            None => format!("the keys are {}", quoted(keys(suite))),
        };
        return Err(format!("`{}`: there is no such key; {hint}", shown(key)));
    }
    let parsed = if suite == Suite::Training {
        python::evaluate(value).ok().map(|value| value.value)
    } else {
        yaml::read(value).ok().map(|document| document.root.value)
    };
    let value = parsed.unwrap_or_else(|| Data::Text(value.to_owned()));
    Ok(Entry {
        key: key.to_owned(),
        value: Ok(Spanned::new(value, 0..0)),
        from: From::Set,
    })
}
