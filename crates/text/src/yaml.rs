//! YAML as PyYAML's `safe_load` reads it.
//!
//! The syntax comes from an event parser of YAML 1.2, whose differences from YAML 1.1 are in
//! corners that no configuration file visits; what a scalar means comes from here, since there the
//! two versions differ in every file.

mod events;
mod repair;
mod scalar;
mod tree;

use crate::data::{Data, Spanned};
use crate::toml_reader::{Problem, locate};

/// Most places of a text that are put right before it is read, each of which costs one reading.
const MOST_REPAIRS: usize = 100;

/// What a YAML text says.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The value of the whole text; `None` if it is empty.
    pub root: Spanned<Data>,
    /// Where a value is not what PyYAML makes of it: dates, which stay texts here.
    pub remarks: Vec<Problem>,
}

/// Reads a text as PyYAML's `safe_load` does, with these differences: a key that is said twice is a
/// mistake, so is one that is no text, and dates stay texts. Nothing is made for other tags than
/// those of plain values.
///
/// # Errors
///
/// Every mistake, in the order of the text; only the first of syntax if there is one.
pub fn read(source: &str) -> Result<Document, Vec<Problem>> {
    let mut copy: Option<String> = None;
    for _ in 0..=MOST_REPAIRS {
        let text = copy.as_deref().unwrap_or(source);
        let mut tree = tree::Builder::new(source, text);
        let root = tree.document();
        let (mut wrong, remarks) = tree.findings();
        let place = |(span, message)| locate(source, span, message);
        match root {
            Ok(root) if wrong.is_empty() => {
                return Ok(Document {
                    root,
                    remarks: remarks.into_iter().map(place).collect(),
                });
            }
            Ok(_) => {
                wrong.sort_by_key(|(span, _)| (span.start, span.end));
                return Err(wrong.into_iter().map(place).collect());
            }
            Err(fatal) => {
                let again = fatal
                    .repair
                    .and_then(|repair| repair::repaired(text, repair));
                if again.is_none() {
                    return Err(vec![place(fatal.finding)]);
                }
                copy = again;
            }
        }
    }
    let message = "there is too much in this text that only PyYAML reads: comments without a blank before them, or lines in brackets that are not indented";
    Err(vec![locate(source, 0..0, message.to_owned())])
}
