//! The samples file `samples.fps`: time series in about one byte a value.
//!
//! An append-only file of records, each with its length and checksum. While a case runs, small
//! blocks are appended as samples come, so that a cut-off file loses its torn tail and nothing
//! else; when the case ends, the file is rewritten with large blocks. What the values mean is in
//! the dictionary, the first record. Nothing here interprets a value.

mod block;
mod file;
mod varint;

#[cfg(test)]
mod tests;

pub(crate) use file::{Reader, Writer, collect, compact};
pub use file::{Samples, decode_samples};

/// Most moments of one block: at one a second a little more than an hour.
const MAX_TICKS: usize = 4096;
/// Most series of a file.
const MAX_COLUMNS: usize = 65_535;
/// Most values of one block; 16 MiB of memory.
const MAX_CELLS: usize = 1 << 20;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(&'static str);
