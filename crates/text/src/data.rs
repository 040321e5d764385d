//! Values as configuration files hold them, each with its place.

use std::ops::Range;

/// Something and where it stands in its text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// What stands there.
    pub value: T,
    /// The bytes that it takes up.
    pub span: Range<usize>,
}

impl<T> Spanned<T> {
    /// Something at a place.
    pub fn new(value: T, span: Range<usize>) -> Self {
        Self { value, span }
    }
}

/// A value of a YAML document or of a Python module.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// `null` or `None`.
    None,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A text.
    Text(String),
    /// A list; of Python also a tuple or a set.
    List(Vec<Spanned<Self>>),
    /// A mapping from texts, in the order of the file. A YAML document has no key twice; of a
    /// Python dictionary the last value of a key is here.
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl Data {
    /// What kind of value this is, as messages say it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::Bool(_) => "true or false",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// The value of a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Spanned<Self>> {
        match self {
            Self::Map(entries) => entries
                .iter()
                .find(|(name, _)| name.value == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text, if this is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// How many values this is made of, itself counted, and how many bytes of text are in them.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Text(text) => 1 + text.len(),
            Self::List(items) => 1 + items.iter().map(|item| item.value.size()).sum::<usize>(),
            Self::Map(entries) => {
                let sizes = entries
                    .iter()
                    .map(|(key, value)| 1 + key.value.len() + value.value.size());
                1 + sizes.sum::<usize>()
            }
            Self::None | Self::Bool(_) | Self::Int(_) | Self::Float(_) => 1,
        }
    }
}
