//! Sets of nodes as text: `node[01-64]`, `a,b,c`, `r[1-2]n[01-03]-ib`.
//!
//! Names stand between commas, blanks or ends of lines. Brackets hold numbers and ranges of them
//! with commas between; `0-10/2` takes every second. The digits of a number are kept, so `[08-10]`
//! is `08`, `09`, `10`. With several brackets in a name the last one runs fastest.

mod parse;

use std::ops::Range;

use flagperf_model::NodeName;
use flagperf_text::locate;

pub use flagperf_model::fold;
pub(crate) use parse::NodeSet;

/// Most nodes that a text may name.
pub const MOST_NODES: usize = 100_000;

/// What is wrong with a text that should name nodes, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}column {column}: {message}", line_prefix(*line))]
pub struct NodeSetError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and what was expected.
    pub message: String,
    /// The place in bytes.
    span: Range<usize>,
}

impl NodeSetError {
    fn new(text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let place = locate(text, span.clone(), message.into());
        Self {
            line: place.line,
            column: place.column,
            message: place.message,
            span,
        }
    }

    /// The place in bytes of the text.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

/// A list on a command line has one line, whose number would say nothing.
fn line_prefix(line: usize) -> String {
    match line {
        1 => String::new(),
        _ => format!("line {line}, "),
    }
}

/// The nodes that a text names, in its order. A node that is named twice is there twice.
///
/// # Errors
///
/// The first mistake of the text. No memory is taken for a text that names more than
/// [`MOST_NODES`].
pub fn expand(text: &str) -> Result<Vec<NodeName>, NodeSetError> {
    let names = NodeSet::parse(text)?.names(text)?;
    Ok(names.into_iter().map(|(name, _)| name).collect())
}
