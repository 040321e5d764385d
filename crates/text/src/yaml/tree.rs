//! From the events of the parser to a value.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use saphyr_parser::{Event, ScalarStyle, Tag};

use super::events::{Events, Fatal, Finding};
use super::scalar::{Plain, resolve};
use crate::data::{Data, Spanned};
use crate::nearest::shown;
use crate::toml_reader::locate;

/// Deepest nesting. People nest three or four levels.
const DEEPEST: usize = 60;

/// Most mistakes, and most remarks, that are told of one text.
const MOST_TOLD: usize = 100;

/// Most values and bytes that aliases may copy, so that a short text cannot fill the memory.
const MOST_COPIED: usize = 4 << 20;

type Entries = Vec<(Spanned<String>, Spanned<Data>)>;

/// Makes a value of a text.
pub(super) struct Builder<'s> {
    source: &'s str,
    events: Events<'s>,
    anchors: HashMap<usize, Spanned<Data>>,
    copied: usize,
    wrong: Vec<Finding>,
    remarks: Vec<Finding>,
}

impl<'s> Builder<'s> {
    /// `text` is what is read: the source, or a copy with as many characters.
    pub(super) fn new(source: &'s str, text: &'s str) -> Self {
        Self {
            source,
            events: Events::new(source, text),
            anchors: HashMap::new(),
            copied: 0,
            wrong: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// The mistakes that do not hide others, and the remarks.
    pub(super) fn findings(self) -> (Vec<Finding>, Vec<Finding>) {
        (self.wrong, self.remarks)
    }

    fn wrong(&mut self, span: Range<usize>, message: impl Into<String>) {
        if self.wrong.len() < MOST_TOLD {
            self.wrong.push((span, message.into()));
        }
    }

    /// The value of the only document.
    pub(super) fn document(&mut self) -> Result<Spanned<Data>, Fatal> {
        self.events.check_characters()?;
        let mut root = None;
        loop {
            match self.events.next()? {
                (Event::StreamStart | Event::Nothing | Event::DocumentEnd, _) => {}
                (Event::DocumentStart(_), span) => {
                    if root.is_some() {
                        let message = "a second document begins here; expected only one in a file";
                        return Err((span, message.to_owned()).into());
                    }
                }
                (Event::StreamEnd, _) => break,
                (event, span) => root = Some(self.node(event, span, 0)?),
            }
        }
        Ok(root.unwrap_or_else(|| Spanned::new(Data::None, 0..0)))
    }

    /// A value that begins with this event.
    fn node(
        &mut self,
        event: Event<'s>,
        span: Range<usize>,
        depth: usize,
    ) -> Result<Spanned<Data>, Fatal> {
        if depth > DEEPEST {
            let message = format!("this is nested deeper than {DEEPEST} levels");
            return Err((span, message).into());
        }
        self.events.refuse_tab(&span)?;
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let text = self.events.cut_end(&text, style, &span);
                let value = self.scalar(text, style, tag.as_deref(), &span);
                Ok(self.anchored(anchor, Spanned::new(value, span)))
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", &span);
                let value = self.sequence(span, depth)?;
                Ok(self.anchored(anchor, value))
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", &span);
                let value = self.mapping(span, depth)?;
                Ok(self.anchored(anchor, value))
            }
            Event::Alias(id) => self.alias(id, span),
            _ => Err((span, "a value was expected here".to_owned()).into()),
        }
    }

    fn anchored(&mut self, anchor: usize, value: Spanned<Data>) -> Spanned<Data> {
        // Zero stands for no anchor.
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        value
    }

    fn alias(&mut self, id: usize, span: Range<usize>) -> Result<Spanned<Data>, Fatal> {
        let Some(value) = self.anchors.get(&id) else {
            return Err((span, "this value contains itself".to_owned()).into());
        };
        self.copied += value.value.size();
        if self.copied > MOST_COPIED {
            return Err((
                span,
                "the values behind aliases become too large".to_owned(),
            )
                .into());
        }
        Ok(Spanned::new(value.value.clone(), span))
    }

    fn sequence(&mut self, start: Range<usize>, depth: usize) -> Result<Spanned<Data>, Fatal> {
        let mut items: Vec<Spanned<Data>> = Vec::new();
        loop {
            let (event, span) = self.events.next()?;
            if event == Event::SequenceEnd {
                let last = items.last().map(|item| item.span.end);
                let span = whole(&start, &span, last);
                return Ok(Spanned::new(Data::List(items), span));
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn mapping(&mut self, start: Range<usize>, depth: usize) -> Result<Spanned<Data>, Fatal> {
        let mut own: Entries = Vec::new();
        let mut merged: Entries = Vec::new();
        let mut seen: HashMap<String, Range<usize>> = HashMap::new();
        let mut last = None;
        loop {
            let (event, span) = self.events.next()?;
            if event == Event::MappingEnd {
                let span = whole(&start, &span, last);
                let names: HashSet<&str> = own.iter().map(|(key, _)| &*key.value).collect();
                merged.retain(|(key, _)| !names.contains(&*key.value));
                merged.extend(own);
                return Ok(Spanned::new(Data::Map(merged), span));
            }
            let key = self.key(event, span, depth)?;
            let (event, span) = self.events.next()?;
            let value = self.node(event, span, depth + 1)?;
            last = Some(value.span.end);
            match key {
                Key::Merge(at) => self.merge(&at, value, &mut merged),
                Key::Wrong => {}
                Key::Text(key) => {
                    if let Some(before) = seen.get(&key.value) {
                        if self.wrong.len() >= MOST_TOLD {
                            continue;
                        }
                        let first = locate(self.source, before.clone(), String::new()).line;
                        let message = format!(
                            "`{}` is said twice, the first time in line {first}; PyYAML would take the last without a word, so leave one out",
                            shown(&key.value)
                        );
                        self.wrong(key.span.clone(), message);
                    } else {
                        seen.insert(key.value.clone(), key.span.clone());
                        own.push((key, value));
                    }
                }
            }
        }
    }

    fn key(&mut self, event: Event<'s>, span: Range<usize>, depth: usize) -> Result<Key, Fatal> {
        if let Event::Scalar(text, ScalarStyle::Plain, 0, None) = &event {
            match resolve(text) {
                Plain::Merge => return Ok(Key::Merge(span)),
                Plain::Equals => {
                    self.events.refuse_tab(&span)?;
                    return Ok(Key::Text(Spanned::new(text.to_string(), span)));
                }
                _ => {}
            }
        }
        let key = self.node(event, span, depth + 1)?;
        match key.value {
            Data::Text(text) => Ok(Key::Text(Spanned::new(text, key.span))),
            other => {
                let written = shown(self.source.get(key.span.clone()).unwrap_or_default());
                let message = match other {
                    Data::List(_) | Data::Map(_) => {
                        format!("{} cannot be a key; expected a text", other.kind())
                    }
                    _ => format!(
                        "the key `{written}` is read as {}; put it in quotes if it is a text",
                        other.kind()
                    ),
                };
                self.wrong(key.span, message);
                Ok(Key::Wrong)
            }
        }
    }

    /// Adds what a key `<<` brings. Of the same key in several mappings of a list the first counts,
    /// of several keys `<<` the last.
    fn merge(&mut self, at: &Range<usize>, value: Spanned<Data>, merged: &mut Entries) {
        let maps = match value.value {
            Data::List(items) => items,
            other => vec![Spanned::new(other, value.span)],
        };
        let mut names: HashSet<String> = HashSet::new();
        let mut brought: Entries = Vec::new();
        for map in maps {
            let Data::Map(entries) = map.value else {
                let message = format!("`<<` merges mappings, but this is {}", map.value.kind());
                self.wrong(at.clone(), message);
                continue;
            };
            let new = |(key, _): &(Spanned<String>, _)| names.insert(key.value.clone());
            brought.extend(entries.into_iter().filter(new));
        }
        merged.retain(|(key, _)| !names.contains(&key.value));
        merged.extend(brought);
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: &Range<usize>,
    ) -> Data {
        let as_text = || Data::Text(text.to_owned());
        let Some(tag) = tag else {
            if style != ScalarStyle::Plain {
                return as_text();
            }
            return match resolve(text) {
                Plain::Value(value) => value,
                Plain::Time => {
                    let message = "PyYAML makes a date of this; it is taken for a text here, which quotes would say";
                    if self.remarks.len() < MOST_TOLD {
                        self.remarks.push((span.clone(), message.to_owned()));
                    }
                    as_text()
                }
                Plain::Merge | Plain::Equals => {
                    let message = format!("`{text}` has a meaning of its own; put it in quotes");
                    self.wrong(span.clone(), message);
                    Data::None
                }
                Plain::Wrong(problem) => {
                    self.wrong(span.clone(), problem.to_owned());
                    Data::None
                }
            };
        };
        let value = match (resolve(text), core(tag)) {
            (_, Some("str")) => Some(as_text()),
            (Plain::Value(value @ Data::Int(_)), Some("int"))
            | (Plain::Value(value @ Data::Float(_)), Some("float"))
            | (Plain::Value(value @ Data::Bool(_)), Some("bool")) => Some(value),
            (Plain::Value(Data::Int(whole)), Some("float")) => Some(Data::Float(whole as f64)),
            (_, Some("null")) => Some(Data::None),
            _ => None,
        };
        value.unwrap_or_else(|| {
            let message = format!(
                "the tag `{}` means nothing for this value; leave it out",
                shown(&tag.to_string())
            );
            self.wrong(span.clone(), message);
            Data::None
        })
    }

    fn check_tag(&mut self, tag: Option<&Tag>, expected: &str, span: &Range<usize>) {
        if let Some(tag) = tag
            && core(tag) != Some(expected)
        {
            let message = format!(
                "the tag `{}` means nothing here; leave it out",
                shown(&tag.to_string())
            );
            self.wrong(span.clone(), message);
        }
    }
}

enum Key {
    Text(Spanned<String>),
    /// `<<`
    Merge(Range<usize>),
    /// It was reported.
    Wrong,
}

/// The name of a tag of plain YAML.
fn core(tag: &Tag) -> Option<&str> {
    tag.is_yaml_core_schema().then_some(&*tag.suffix)
}

/// From the first event to the last; in block style the last one stands at what follows.
fn whole(start: &Range<usize>, end: &Range<usize>, last: Option<usize>) -> Range<usize> {
    let to = if end.is_empty() {
        last.unwrap_or(start.end)
    } else {
        end.end
    };
    start.start..to.max(start.end)
}
