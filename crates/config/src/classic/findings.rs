//! Texts, places in them, and what is said about the places.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

use flagperf_text::python::Unknown;
use flagperf_text::{Data, Problem, Spanned, locate};

use super::Place;
use crate::settings::{SettingsError, SettingsErrors};

/// A place in one of the texts.
#[derive(Debug, Clone)]
pub(super) struct At {
    pub(super) text: usize,
    pub(super) span: Range<usize>,
}

/// What is said for a key.
#[derive(Debug, Clone)]
pub(super) struct Given {
    /// The key.
    pub(super) key: At,
    /// Its value.
    pub(super) value: Result<Spanned<Data>, Unknown>,
}

impl Given {
    /// Where the value stands, or the key if the value takes up nothing.
    pub(super) fn at(&self) -> At {
        match &self.value {
            Ok(value) if !value.span.is_empty() => self.inside(value.span.clone()),
            Ok(_) => self.key.clone(),
            Err(unknown) => self.inside(unknown.span.clone()),
        }
    }

    /// A place in the same text.
    pub(super) fn inside(&self, span: Range<usize>) -> At {
        At {
            text: self.key.text,
            span,
        }
    }
}

/// The texts that are read, and what was found in them so far.
#[derive(Debug, Default)]
pub(super) struct Findings<'a> {
    texts: Vec<(PathBuf, Cow<'a, str>)>,
    errors: Vec<(At, SettingsError)>,
    warnings: Vec<(At, SettingsError)>,
}

impl<'a> Findings<'a> {
    /// Adds a text, and gives its number.
    pub(super) fn add(&mut self, path: &Path, text: impl Into<Cow<'a, str>>) -> usize {
        self.texts.push((path.to_owned(), text.into()));
        self.texts.len() - 1
    }

    /// Where a text came from.
    pub(super) fn path(&self, text: usize) -> &Path {
        self.texts.get(text).map_or(Path::new(""), |(path, _)| path)
    }

    fn error(&self, at: &At, message: String) -> SettingsError {
        let text = self.texts.get(at.text).map_or("", |(_, text)| text);
        let problem = locate(text, at.span.clone(), message);
        problem_of(self.path(at.text), problem)
    }

    /// The line in which something stands.
    pub(super) fn line(&self, at: &At) -> usize {
        self.error(at, String::new()).line
    }

    /// A place to remember.
    pub(super) fn place(&self, at: &At) -> Place {
        let error = self.error(at, String::new());
        Place {
            path: error.path,
            line: error.line,
            column: error.column,
            excerpt: error.excerpt,
        }
    }

    /// Notes a mistake.
    pub(super) fn wrong(&mut self, at: &At, message: impl Into<String>) {
        let error = self.error(at, message.into());
        self.errors.push((at.clone(), error));
    }

    /// Notes what is probably not meant.
    pub(super) fn warn(&mut self, at: &At, message: impl Into<String>) {
        let warning = self.error(at, message.into());
        self.warnings.push((at.clone(), warning));
    }

    /// Notes what the reader of a text found. `beginning` is the place of all that has no other.
    pub(super) fn problems(&mut self, text: usize, problems: Vec<Problem>) {
        let path = self.path(text).to_owned();
        for problem in problems {
            let at = At { text, span: 0..0 };
            self.errors.push((at, problem_of(&path, problem)));
        }
    }

    /// Notes what the reader of a text remarked.
    pub(super) fn remarks(&mut self, text: usize, remarks: Vec<Problem>) {
        let path = self.path(text).to_owned();
        for remark in remarks {
            let at = At { text, span: 0..0 };
            self.warnings.push((at, problem_of(&path, remark)));
        }
    }

    /// How many mistakes there are.
    pub(super) fn count(&self) -> usize {
        self.errors.len()
    }

    /// Makes warnings of the mistakes behind the first ones, which do no harm.
    pub(super) fn forgive(&mut self, first: usize, why: &str) {
        for (at, mut error) in self.errors.drain(first.min(self.errors.len())..) {
            error.message.push_str(why);
            self.warnings.push((at, error));
        }
    }

    /// The warnings if there is no mistake, else the mistakes; each in the order of the texts.
    pub(super) fn finish(self) -> Result<Vec<SettingsError>, SettingsErrors> {
        fn sorted(mut all: Vec<(At, SettingsError)>) -> Vec<SettingsError> {
            all.sort_by_key(|(at, error)| (at.text, error.line, error.column));
            all.into_iter().map(|(_, error)| error).collect()
        }
        if self.errors.is_empty() {
            Ok(sorted(self.warnings))
        } else {
            Err(SettingsErrors(sorted(self.errors)))
        }
    }
}

/// What was found in a file.
pub(super) fn problem_of(path: &Path, problem: Problem) -> SettingsError {
    SettingsError {
        path: path.to_owned(),
        line: problem.line,
        column: problem.column,
        excerpt: problem.excerpt,
        message: problem.message,
    }
}
