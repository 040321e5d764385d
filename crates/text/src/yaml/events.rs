//! The events of the parser, with places in bytes of the source, and what it says of wrong syntax.

use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::repair::Repair;
use crate::toml_reader::locate;

/// A mistake and the bytes that it is about.
pub(super) type Finding = (Range<usize>, String);

/// A mistake that ends the reading.
pub(super) struct Fatal {
    pub(super) finding: Finding,
    /// What could be put right, so that the text is read after all.
    pub(super) repair: Option<Repair>,
}

impl From<Finding> for Fatal {
    fn from(finding: Finding) -> Self {
        Self {
            finding,
            repair: None,
        }
    }
}

/// Hands out events.
pub(super) struct Events<'s> {
    source: &'s str,
    parser: Parser<'s, StrInput<'s>>,
    /// Where each character begins; absent if every one is a byte.
    starts: Option<Vec<usize>>,
    /// The characters at which brackets were opened that are not closed yet.
    brackets: Vec<usize>,
    /// The character behind the last event.
    seen: usize,
}

impl<'s> Events<'s> {
    /// `text` is what is read: the source, or a copy with as many characters.
    pub(super) fn new(source: &'s str, text: &'s str) -> Self {
        let starts =
            (!source.is_ascii()).then(|| source.char_indices().map(|(at, _)| at).collect());
        Self {
            source,
            parser: Parser::new_from_str(text),
            starts,
            brackets: Vec::new(),
            seen: 0,
        }
    }

    /// Refuses what PyYAML does not take for a text, and characters that end a line there but not
    /// here.
    pub(super) fn check_characters(&self) -> Result<(), Finding> {
        let wrong = self.source.char_indices().find(|(_, c)| match c {
            '\t' | '\n' | '\r' => false,
            '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{85}' | '\u{2028}' | '\u{2029}' => true,
            c => c.is_control(),
        });
        match wrong {
            None => Ok(()),
            Some((at, c)) => Err((
                at..at + c.len_utf8(),
                format!(
                    "the character U+{:04X} is not allowed here; remove it, or write it as an escape in double quotes",
                    u32::from(c)
                ),
            )),
        }
    }

    pub(super) fn next(&mut self) -> Result<(Event<'s>, Range<usize>), Fatal> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                self.note_brackets(&event, span);
                let span = self.bytes(span);
                Ok((event, span))
            }
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, self.source.len()..self.source.len())),
        }
    }

    /// A tab before a value at the beginning of a line, which the parser takes for blanks.
    pub(super) fn refuse_tab(&self, span: &Range<usize>) -> Result<(), Finding> {
        let line = self.source[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let before = &self.source[line..span.start];
        match before.find('\t') {
            Some(at) if before.trim_matches([' ', '\t', '-', '?', ':']).is_empty() => {
                Err((line + at..line + at + 1, TAB.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// A block of text that ends with the file has no end of line that the file does not have.
    pub(super) fn cut_end<'t>(
        &self,
        text: &'t str,
        style: ScalarStyle,
        span: &Range<usize>,
    ) -> &'t str {
        let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        let cut = block && span.end >= self.source.len() && !self.source.ends_with(['\n', '\r']);
        text.strip_suffix('\n').filter(|_| cut).unwrap_or(text)
    }

    fn byte(&self, marker: Marker) -> usize {
        let index = marker.index();
        match &self.starts {
            None => index.min(self.source.len()),
            Some(starts) => starts.get(index).copied().unwrap_or(self.source.len()),
        }
    }

    fn bytes(&self, span: Span) -> Range<usize> {
        let start = self.byte(span.start);
        start..self.byte(span.end).max(start)
    }

    fn note_brackets(&mut self, event: &Event<'_>, span: Span) {
        // In block style these events take up nothing.
        let written = span.start.index() < span.end.index();
        match event {
            Event::SequenceStart(..) | Event::MappingStart(..) if written => {
                self.brackets.push(span.start.index());
            }
            Event::SequenceEnd | Event::MappingEnd if written => {
                self.brackets.pop();
            }
            _ => {}
        }
        self.seen = span.end.index();
    }

    fn syntax(&self, error: &ScanError) -> Fatal {
        let at = self.byte(*error.marker());
        let info = error.info();
        let hint = HINTS.iter().find(|(part, _)| info.contains(part));
        let message = match (hint, self.brackets.last()) {
            (Some((_, hint)), _) => (*hint).to_owned(),
            (None, Some(open)) => self.not_closed(*open),
            (None, None) => info.to_owned(),
        };
        let repair = if info.contains("comments must be separated") {
            Some(Repair::Comment(error.marker().index()))
        } else if info.contains("invalid indentation") {
            self.open_bracket().map(Repair::Brackets)
        } else {
            None
        };
        // The end of the file shows nothing, so the end of what is in it does.
        let at = if at >= self.source.len() {
            self.source.trim_end().len()
        } else {
            at
        };
        Fatal {
            finding: (at..at + 1, message),
            repair,
        }
    }

    fn not_closed(&self, open: usize) -> String {
        let at = match &self.starts {
            None => open,
            Some(starts) => starts.get(open).copied().unwrap_or(self.source.len()),
        };
        let line = locate(self.source, at..at, String::new()).line;
        let (open, close) = if self.source[at..].starts_with('[') {
            ('[', ']')
        } else {
            ('{', '}')
        };
        format!("the `{open}` of line {line} is not closed; expected `,` or `{close}` here")
    }

    /// The outermost bracket that is open. The parser reads ahead, so it may have no event yet.
    fn open_bracket(&self) -> Option<usize> {
        let ahead = || {
            let mut chars = self.source.chars().skip(self.seen);
            chars
                .position(|c| matches!(c, '[' | '{'))
                .map(|at| self.seen + at)
        };
        self.brackets.first().copied().or_else(ahead)
    }
}

const TAB: &str = "a tab is not allowed here; indent and separate with blanks";

/// What helps, by what the parser says.
const HINTS: [(&str, &str); 8] = [
    ("tabs", TAB),
    (
        "valid YAML whitespace",
        "after `:` a blank is expected, and no tab",
    ),
    (
        "mapping values are not allowed",
        "`:` with a blank behind it is not allowed here; a text with one in it goes in quotes, and keys of one mapping are indented alike",
    ),
    (
        "did not find expected key",
        "this does not go on with the mapping before it; expected a key that is indented like the others",
    ),
    (
        "simple key expect",
        "the line before this one is no `KEY: VALUE`",
    ),
    (
        "quoted scalar",
        "something is wrong with this text in quotes: it may not be closed, or something follows it",
    ),
    (
        "unexpected character",
        "no value begins with this character; put the text in quotes",
    ),
    (
        "unknown anchor",
        "there is no anchor of this name before; a text that begins with `*` goes in quotes",
    ),
];
