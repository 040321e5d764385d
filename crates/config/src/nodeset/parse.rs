//! The text of a node set into what it says, without the names themselves.

use std::ops::Range;

use flagperf_model::NodeName;
use flagperf_text::shown;

use super::{MOST_NODES, NodeSetError};

/// More digits would not fit into the numbers used here, and no cluster needs them.
const MOST_DIGITS: usize = 18;

const EXPECTED_NAMES: &str = "expected names such as `node1,node2` or `node[01-16]`";
const EXPECTED_NUMBERS: &str = "expected numbers such as `01-16` or `1,4,7`";

/// A text that names nodes, checked but not spelled out.
#[derive(Debug)]
pub(crate) struct NodeSet<'t> {
    elements: Vec<Element<'t>>,
}

/// What stands between two commas.
#[derive(Debug)]
struct Element<'t> {
    parts: Vec<Part<'t>>,
    span: Range<usize>,
}

#[derive(Debug)]
enum Part<'t> {
    Text(&'t str),
    Numbers(Vec<Numbers>),
}

/// A range of numbers in brackets; a single number is a range of one.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    first: u64,
    last: u64,
    step: u64,
    width: usize,
}

impl Numbers {
    fn count(self) -> u64 {
        (self.last - self.first) / self.step + 1
    }

    fn texts(self) -> impl Iterator<Item = String> {
        let width = self.width;
        (0..self.count()).map(move |index| format!("{:0width$}", self.first + index * self.step))
    }
}

impl Element<'_> {
    /// How many names it makes; far too many are as good as the largest number.
    fn count(&self) -> u64 {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(_) => 1,
                Part::Numbers(all) => all
                    .iter()
                    .fold(0u64, |sum, one| sum.saturating_add(one.count())),
            })
            .fold(1, u64::saturating_mul)
    }

    /// True if its names have nothing but digits.
    fn is_number(&self) -> bool {
        self.parts.iter().all(|part| match part {
            Part::Text(text) => text.bytes().all(|byte| byte.is_ascii_digit()),
            Part::Numbers(_) => true,
        })
    }

    /// The longest of its names. If that one is valid, all are: they differ in digits only.
    fn longest(&self) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => (*text).to_owned(),
                Part::Numbers(all) => all
                    .iter()
                    .map(|one| format!("{:0width$}", one.last, width = one.width))
                    .max_by_key(String::len)
                    .unwrap_or_default(),
            })
            .collect()
    }

    fn spell(&self) -> Vec<String> {
        let mut names = vec![String::new()];
        for part in &self.parts {
            match part {
                Part::Text(text) => names.iter_mut().for_each(|name| name.push_str(text)),
                Part::Numbers(all) => {
                    let numbers: Vec<String> = all.iter().flat_map(|one| one.texts()).collect();
                    names = names
                        .iter()
                        .flat_map(|name| {
                            numbers.iter().map(move |number| format!("{name}{number}"))
                        })
                        .collect();
                }
            }
        }
        names
    }
}

impl<'t> NodeSet<'t> {
    pub(crate) fn parse(text: &'t str) -> Result<Self, NodeSetError> {
        let mut parser = Parser { text, at: 0 };
        let elements = parser.elements()?;
        let mut total = 0u64;
        for element in &elements {
            total = total.saturating_add(element.count());
            if total > MOST_NODES as u64 {
                let message =
                    "with this there are more than 100,000 nodes, the most that can be named";
                return Err(NodeSetError::new(text, element.span.clone(), message));
            }
        }
        Ok(Self { elements })
    }

    /// How many names there are.
    pub(crate) fn count(&self) -> usize {
        self.elements
            .iter()
            .map(|element| element.count() as usize)
            .sum()
    }

    /// Every name with the place of what it is made from. `text` is what was parsed.
    pub(crate) fn names(&self, text: &str) -> Result<Vec<(NodeName, Range<usize>)>, NodeSetError> {
        let mut names = Vec::with_capacity(self.count());
        for element in &self.elements {
            let invalid = |error: flagperf_model::NameError| {
                NodeSetError::new(text, element.span.clone(), error.to_string())
            };
            // Before all of them are made: each could be as long as the whole text.
            NodeName::new(element.longest()).map_err(invalid)?;
            for name in element.spell() {
                let name = NodeName::new(name).map_err(invalid)?;
                names.push((name, element.span.clone()));
            }
        }
        Ok(names)
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn wrong(&self, span: Range<usize>, message: impl Into<String>) -> NodeSetError {
        NodeSetError::new(self.text, span, message)
    }

    /// The place of the next character, or the end of the text.
    fn here(&self) -> Range<usize> {
        self.at..self.at + self.peek().map_or(0, char::len_utf8)
    }

    fn take_while(&mut self, test: impl Fn(char) -> bool) -> &'t str {
        let rest = &self.text[self.at..];
        let taken = &rest[..rest.find(|c| !test(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn elements(&mut self) -> Result<Vec<Element<'t>>, NodeSetError> {
        let mut elements = Vec::new();
        let mut comma = None;
        loop {
            self.take_while(char::is_whitespace);
            match self.peek() {
                None => break,
                Some(',') if comma.is_some() || elements.is_empty() => {
                    let message = "there is no node before this comma; expected a name";
                    return Err(self.wrong(self.here(), message));
                }
                Some(',') => {
                    comma = Some(self.here());
                    self.at += 1;
                }
                Some(_) => {
                    let element = self.element()?;
                    if comma.is_none()
                        && let Some(before) = elements.last()
                    {
                        self.refuse_torn(before, &element)?;
                    }
                    elements.push(element);
                    comma = None;
                }
            }
        }
        match comma {
            Some(span) => {
                Err(self.wrong(span, "there is no node behind this comma; expected a name"))
            }
            None if elements.is_empty() => {
                Err(self.wrong(0..0, format!("no node is named; {EXPECTED_NAMES}")))
            }
            None => Ok(elements),
        }
    }

    /// Blanks separate names, and so a number that belongs to the name before it would become a node of
    /// its own.
    fn refuse_torn(&self, before: &Element<'_>, number: &Element<'_>) -> Result<(), NodeSetError> {
        if before.is_number() || !number.is_number() {
            return Ok(());
        }
        // Who writes a node a line has separated them on purpose.
        if self.text[before.span.end..number.span.start].contains('\n') {
            return Ok(());
        }
        let name = shown(&self.text[before.span.clone()]);
        let digits = shown(&self.text[number.span.clone()]);
        let message = format!(
            "a blank ends a name, so `{digits}` would be a node of its own; expected \
             `{name}{digits}`, or `{name},{digits}` if there are such nodes"
        );
        Err(self.wrong(number.span.clone(), message))
    }

    fn element(&mut self) -> Result<Element<'t>, NodeSetError> {
        let start = self.at;
        let mut parts = Vec::new();
        loop {
            let text = self.take_while(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c));
            if !text.is_empty() {
                if parts.is_empty() && !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
                    let message = format!(
                        "`{}` cannot begin the name of a node; a letter or a digit can",
                        &text[..1]
                    );
                    return Err(self.wrong(start..start + 1, message));
                }
                parts.push(Part::Text(text));
            }
            match self.peek() {
                Some('[') => parts.push(Part::Numbers(self.bracket()?)),
                Some(']') => {
                    return Err(self.wrong(self.here(), "this `]` has no `[` before it"));
                }
                Some(c) if c != ',' && !c.is_whitespace() => {
                    return Err(self.wrong(self.here(), misplaced(c, self.at == start)));
                }
                _ => break,
            }
        }
        Ok(Element {
            parts,
            span: start..self.at,
        })
    }

    /// Reads from `[` to its `]`.
    fn bracket(&mut self) -> Result<Vec<Numbers>, NodeSetError> {
        let open = self.here();
        self.at += 1;
        let mut all = Vec::new();
        loop {
            all.push(self.numbers(&open)?);
            match self.peek() {
                Some(',') => self.at += 1,
                Some(']') => {
                    self.at += 1;
                    return Ok(all);
                }
                other => return Err(self.not_a_number(other, &open)),
            }
        }
    }

    /// Reads `7`, `01-16` or `0-10/2`.
    fn numbers(&mut self, open: &Range<usize>) -> Result<Numbers, NodeSetError> {
        let start = self.at;
        let (first_text, first) = self.number(open)?;
        let mut numbers = Numbers {
            first,
            last: first,
            step: 1,
            width: first_text.len(),
        };
        let is_range = self.peek() == Some('-');
        if is_range {
            self.at += 1;
            let (last_text, last) = self.number(open)?;
            numbers.last = last;
            let range = &self.text[start..self.at];
            if last < first {
                let message =
                    format!("`{range}` runs backwards; expected the smaller number first");
                return Err(self.wrong(start..self.at, message));
            }
            let padded = |text: &str| text.len() > 1 && text.starts_with('0');
            if first_text.len() != last_text.len()
                && (padded(last_text) || first_text.len() > last_text.len())
            {
                let width = first_text.len().max(last_text.len());
                let message = format!(
                    "the ends of `{range}` have different numbers of leading zeros; expected \
                     `{first:0width$}-{last:0width$}` or `{first}-{last}`"
                );
                return Err(self.wrong(start..self.at, message));
            }
        }
        if self.peek() == Some('/') {
            let slash = self.here();
            self.at += 1;
            if !is_range {
                let message = "a step needs a range before it; expected such as `0-10/2`";
                return Err(self.wrong(slash, message));
            }
            let before = self.at;
            (_, numbers.step) = self.number(open)?;
            if numbers.step == 0 {
                let message = "a step of 0 never arrives; expected 1 or more";
                return Err(self.wrong(before..self.at, message));
            }
        }
        Ok(numbers)
    }

    fn number(&mut self, open: &Range<usize>) -> Result<(&'t str, u64), NodeSetError> {
        let start = self.at;
        let digits = self.take_while(|c| c.is_ascii_digit());
        if digits.is_empty() {
            return Err(self.not_a_number(self.peek(), open));
        }
        if digits.len() > MOST_DIGITS {
            let message = format!("this number has more than {MOST_DIGITS} digits");
            return Err(self.wrong(start..self.at, message));
        }
        // As few digits as that always are a number.
        let number = digits.parse().unwrap_or_default();
        Ok((digits, number))
    }

    /// What stands in brackets in the place of a number or of what may follow one.
    fn not_a_number(&self, found: Option<char>, open: &Range<usize>) -> NodeSetError {
        let message = match found {
            None => return self.wrong(open.clone(), "this `[` is never closed; expected a `]`"),
            Some('[') => format!("there is a bracket inside a bracket; {EXPECTED_NUMBERS}"),
            Some(']' | ',') => format!("there is no number before this; {EXPECTED_NUMBERS}"),
            Some(c) if c.is_whitespace() => {
                format!("there is a blank inside a bracket; {EXPECTED_NUMBERS}")
            }
            Some(c) => format!(
                "`{}` cannot stand here in a bracket; {EXPECTED_NUMBERS}",
                visible(c)
            ),
        };
        self.wrong(self.here(), message)
    }
}

/// Why a character cannot stand in a name, with what was likely meant.
fn misplaced(c: char, first: bool) -> String {
    let hint = match c {
        '@' if first => "groups are not known here; write out their nodes",
        '@' => {
            "the user is not part of a node's name; set `user` in flagperf.toml or in the configuration of ssh"
        }
        '=' => "a node is a name alone; what is known about it goes into flagperf.toml",
        _ => "letters, digits and `_ - . :` can",
    };
    format!(
        "`{}` cannot stand in the name of a node; {hint}",
        visible(c)
    )
}

/// A character as a message can show it: one that steers a terminal would do so there too.
fn visible(c: char) -> String {
    match c {
        '\'' | '"' | '\\' => c.to_string(),
        _ => c.escape_debug().to_string(),
    }
}
