//! Reading a TOML document with every mistake reported at its place, not only the first.
//!
//! The parser keeps where each key and value stands. Walking its tree by hand costs more lines than
//! deriving, and buys all errors at once, an excerpt for each, and the nearest right key.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::nearest::{nearest, printable, quoted, shown};

/// A mistake and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line with a mark under the place.
    pub excerpt: String,
    /// What is wrong, and what was expected.
    pub message: String,
}

/// Collects the mistakes of one document.
#[derive(Debug)]
pub struct Reader<'s> {
    source: &'s str,
    found: Vec<(Range<usize>, String)>,
}

/// A table whose keys are known.
#[derive(Debug, Clone, Copy)]
pub struct Section<'d> {
    table: &'d DeTable<'d>,
    at: usize,
    what: &'d str,
}

/// Reads a document with a function that walks its root table and notes what is wrong. The
/// function's answer counts only if it noted nothing.
///
/// # Errors
///
/// Every mistake, in the order of the document; only those of syntax if there are any.
pub fn read_document<T>(
    source: &str,
    walk: impl FnOnce(&mut Reader<'_>, &DeTable<'_>) -> Option<T>,
) -> Result<T, Vec<Problem>> {
    let (document, syntax) = DeTable::parse_recoverable(source);
    let mut reader = Reader {
        source,
        found: Vec::new(),
    };
    if !syntax.is_empty() {
        // A broken document makes every later complaint doubtful, so only the syntax is reported.
        for error in syntax {
            let span = error.span().unwrap_or(0..0);
            reader.wrong(span, error.message().replace('\n', "; "));
        }
        return Err(reader.into_problems());
    }
    match walk(&mut reader, document.get_ref()) {
        Some(read) if reader.found.is_empty() => Ok(read),
        _ => Err(reader.into_problems()),
    }
}

impl<'s> Reader<'s> {
    /// The text that is read.
    pub fn source(&self) -> &'s str {
        self.source
    }

    /// Notes a mistake.
    pub fn wrong(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.found.push((span, message.into()));
    }

    fn into_problems(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|(span, _)| (span.start, span.end));
        self.found
            .into_iter()
            .map(|(span, message)| locate(self.source, span, message))
            .collect()
    }

    /// Takes a table and checks that it has none but the known keys. `what` names it in messages.
    pub fn section<'d>(
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
    pub fn table<'d>(
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
    pub fn array<'d>(
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
    pub fn text(&mut self, value: &Spanned<DeValue<'_>>, expected: &str) -> Option<String> {
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
    pub fn word<T: Copy>(
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
    pub fn integer(&mut self, value: &Spanned<DeValue<'_>>, expected: &str) -> Option<i64> {
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
        if number.is_none() {
            self.mismatch(value, expected);
        }
        number
    }

    /// The value as true or false, or a mistake.
    pub fn boolean(&mut self, value: &Spanned<DeValue<'_>>) -> Option<bool> {
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.mismatch(value, "true or false");
        }
        flag
    }

    /// Notes that a value is not what was expected.
    pub fn mismatch(&mut self, value: &Spanned<DeValue<'_>>, expected: &str) {
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
    pub fn get(&self, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.table.get(key)
    }

    /// The value of a key that must be there.
    pub fn require(
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
    pub fn require_text(
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
pub fn locate(source: &str, span: Range<usize>, message: String) -> Problem {
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
    let line_end = line_start + text.len();
    let column = source[line_start..start].chars().count() + 1;
    let marked = source[start.min(line_end)..end.clamp(start.min(line_end), line_end)]
        .chars()
        .count();
    Problem {
        line,
        column,
        excerpt: excerpt(line, text, column, marked),
        message,
    }
}

/// The line with its number before it and a mark under the place; of a long line, the part around
/// the place.
fn excerpt(number: usize, text: &str, column: usize, marked: usize) -> String {
    const WIDEST: usize = 160;
    const BEFORE: usize = 60;
    let length = text.chars().count();
    let skipped = if length > WIDEST {
        (column - 1).saturating_sub(BEFORE)
    } else {
        0
    };
    let shown: String = text.chars().skip(skipped).take(WIDEST).collect();
    // A tab does not harm, and another character in its place would.
    let mut shown = shown
        .split('\t')
        .map(|part| printable(part.to_owned()))
        .collect::<Vec<_>>()
        .join("\t");
    if length > skipped + WIDEST {
        shown.push('…');
    }
    // Tabs are kept in the padding, so that the mark stands under its text at any tab width.
    let mut padding: String = shown
        .chars()
        .take(column - 1 - skipped)
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    if skipped > 0 {
        shown.insert(0, '…');
        padding.push(' ');
    }
    let number = number.to_string();
    let margin = " ".repeat(number.len());
    format!(
        "{margin} |\n{number} | {}\n{margin} | {padding}{}",
        shown.trim_end(),
        "^".repeat(marked.clamp(1, 60))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_place_is_shown_with_its_line() {
        let source = "a = 1\n\tb = \"é\" # ü\n";
        let problem = locate(source, 11..15, "wrong".to_owned());
        assert_eq!((problem.line, problem.column), (2, 6));
        assert_eq!(problem.excerpt, "  |\n2 | \tb = \"é\" # ü\n  | \t    ^^^");
    }

    #[test]
    fn of_a_long_line_the_part_around_the_place_is_shown() {
        let source = format!("{}x{}", "a".repeat(1000), "b".repeat(1000));
        let problem = locate(&source, 1000..1001, "wrong".to_owned());
        assert_eq!((problem.line, problem.column), (1, 1001));
        assert_eq!(
            problem.excerpt,
            format!(
                "  |\n1 | …{}x{}…\n  | {}^",
                "a".repeat(60),
                "b".repeat(99),
                " ".repeat(61)
            )
        );
    }

    #[test]
    fn mistakes_come_in_the_order_of_the_document() {
        let read = read_document("bbb = 1\nc = 2\nd = true\n", |reader, table| {
            let root = reader.section(table, 0, "it", &["a", "bb", "d"]);
            root.require(reader, "a", "a letter");
            root.get("d").and_then(|value| reader.boolean(value))
        });
        let messages: Vec<String> = read.unwrap_err().into_iter().map(|p| p.message).collect();
        assert_eq!(
            messages,
            [
                "it lacks the key `a`: a letter",
                "it has no key `bbb`; did you mean `bb`?",
                "it has no key `c`; the keys are `a`, `bb`, `d`",
            ]
        );
    }

    #[test]
    fn a_broken_document_has_broken_syntax_only() {
        let read = read_document("a = \u{1b}[2J\n[b\n", |_, _| Some(()));
        let problems = read.unwrap_err();
        let lines: Vec<usize> = problems.iter().map(|problem| problem.line).collect();
        assert!(lines.is_sorted() && lines.first() == Some(&1), "{lines:?}");
        for problem in problems {
            assert!(!problem.message.is_empty());
            assert!(!problem.excerpt.contains('\u{1b}'));
        }
    }

    proptest! {
        #[test]
        fn any_place_of_any_text_is_shown(
            source in "[a\té\n]{0,400}", start in 0usize..900, length in 0usize..900,
        ) {
            let problem = locate(&source, start..start + length, String::new());
            prop_assert!(problem.line >= 1 && problem.column >= 1);
            prop_assert_eq!(problem.excerpt.lines().count(), 3);
        }
    }
}
