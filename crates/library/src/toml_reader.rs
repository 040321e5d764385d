//! Reading a TOML document with every mistake reported at its place, not only the first.
//!
//! The parser keeps where each key and value stands. Walking its tree by hand costs more lines than
//! deriving, and buys all errors at once, an excerpt for each, and the nearest right key.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::nearest::{nearest, quoted, shown};

/// A mistake and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column in characters, from 1.
    pub(crate) column: usize,
    /// The line with a mark under the place.
    pub(crate) excerpt: String,
    /// What is wrong, and what was expected.
    pub(crate) message: String,
}

/// Collects the mistakes of one document.
#[derive(Debug)]
pub(crate) struct Reader<'s> {
    source: &'s str,
    found: Vec<(Range<usize>, String)>,
}

/// A table whose keys are known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section<'d> {
    table: &'d DeTable<'d>,
    at: usize,
    what: &'d str,
}

impl<'s> Reader<'s> {
    pub(crate) fn new(source: &'s str) -> Self {
        Self {
            source,
            found: Vec::new(),
        }
    }

    /// Notes a mistake.
    pub(crate) fn wrong(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.found.push((span, message.into()));
    }

    /// True if there are no mistakes so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.found.is_empty()
    }

    /// The mistakes in the order of the document.
    pub(crate) fn into_problems(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|(span, _)| (span.start, span.end));
        self.found
            .into_iter()
            .map(|(span, message)| locate(self.source, span, message))
            .collect()
    }

    /// Takes a table and checks that it has none but the known keys. `what` names it in messages.
    pub(crate) fn section<'d>(
        &mut self,
        table: &'d DeTable<'d>,
        at: usize,
        what: &'d str,
        keys: &[&str],
    ) -> Section<'d> {
        for key in table.keys() {
            let name: &str = key.get_ref();
            if !keys.contains(&name) {
                let hint = match nearest(name, keys.iter().copied()) {
                    Some(close) => format!("did you mean `{close}`?"),
                    None => format!("the keys are {}", quoted(keys.iter().copied())),
                };
                let message = format!("{what} has no key `{}`; {hint}", shown(name));
                self.wrong(key.span(), message);
            }
        }
        Section { table, at, what }
    }

    /// The value as a table, or a mistake.
    pub(crate) fn table<'d>(
        &mut self,
        value: &'d Spanned<DeValue<'d>>,
        what: &str,
    ) -> Option<&'d DeTable<'d>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.mismatch(value, &format!("{what} as a table"));
        }
        table
    }

    /// The value as an array, or a mistake.
    pub(crate) fn array<'d>(
        &mut self,
        value: &'d Spanned<DeValue<'d>>,
        expected: &str,
    ) -> Option<&'d [Spanned<DeValue<'d>>]> {
        let array = value.get_ref().as_array();
        if array.is_none() {
            self.mismatch(value, expected);
        }
        array.map(|array| &**array)
    }

    /// The value as text that is not empty, or a mistake.
    pub(crate) fn text(&mut self, value: &Spanned<DeValue<'_>>, expected: &str) -> Option<String> {
        match value.get_ref().as_str() {
            Some(text) if !text.trim().is_empty() => Some(text.to_owned()),
            Some(_) => {
                self.wrong(value.span(), format!("this is empty; expected {expected}"));
                None
            }
            None => {
                self.mismatch(value, expected);
                None
            }
        }
    }

    /// The value as one of the words of a table of choices, or a mistake.
    pub(crate) fn word<T: Copy>(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        words: &[(&str, T)],
    ) -> Option<T> {
        let names = || words.iter().map(|(name, _)| *name);
        let Some(text) = value.get_ref().as_str() else {
            self.mismatch(value, &format!("one of {}", quoted(names())));
            return None;
        };
        let found = words.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let hint = nearest(text, names())
                .map(|close| format!("; did you mean `{close}`?"))
                .unwrap_or_default();
            self.wrong(
                value.span(),
                format!("`{}` is none of {}{hint}", shown(text), quoted(names())),
            );
        }
        found.map(|(_, value)| *value)
    }

    /// The value as a whole number, or a mistake.
    pub(crate) fn integer(&mut self, value: &Spanned<DeValue<'_>>, expected: &str) -> Option<i64> {
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
        if number.is_none() {
            self.mismatch(value, expected);
        }
        number
    }

    /// Notes that a value is not what was expected.
    pub(crate) fn mismatch(&mut self, value: &Spanned<DeValue<'_>>, expected: &str) {
        let is = value.get_ref().type_str();
        let article = if is.starts_with(['a', 'i']) {
            "an"
        } else {
            "a"
        };
        self.wrong(
            value.span(),
            format!("this is {article} {is}; expected {expected}"),
        );
    }
}

impl<'d> Section<'d> {
    /// The value of a key, if it is there.
    pub(crate) fn get(&self, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.table.get(key)
    }

    /// The value of a key that must be there.
    pub(crate) fn require(
        &self,
        reader: &mut Reader<'_>,
        key: &str,
        expected: &str,
    ) -> Option<&'d Spanned<DeValue<'d>>> {
        let value = self.table.get(key);
        if value.is_none() {
            let message = format!("{} lacks the key `{key}`: {expected}", self.what);
            reader.wrong(self.at..self.at, message);
        }
        value
    }

    /// The text of a key that must be there.
    pub(crate) fn require_text(
        &self,
        reader: &mut Reader<'_>,
        key: &str,
        expected: &str,
    ) -> Option<String> {
        let value = self.require(reader, key, expected)?;
        reader.text(value, expected)
    }
}

/// Turns a span of bytes into line, column and excerpt.
pub(crate) fn locate(source: &str, span: Range<usize>, message: String) -> Problem {
    let floor = |mut at: usize| {
        at = at.min(source.len());
        while !source.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (start, end) = (floor(span.start), floor(span.end.max(span.start)));
    let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
    let line = source[..start].matches('\n').count() + 1;
    let text = source[line_start..].lines().next().unwrap_or_default();
    let column = source[line_start..start].chars().count() + 1;
    let line_end = line_start + text.len();
    let marked = source[start.min(line_end)..end.clamp(start.min(line_end), line_end)]
        .chars()
        .count()
        .clamp(1, 60);
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    // Tabs are kept in the padding, so that the mark stands under its text at any tab width.
    let padding: String = source[line_start..start.min(line_end)]
        .chars()
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    Problem {
        line,
        column,
        excerpt: format!(
            "{margin} |\n{number} | {}\n{margin} | {padding}{}",
            text.trim_end(),
            "^".repeat(marked)
        ),
        message,
    }
}
