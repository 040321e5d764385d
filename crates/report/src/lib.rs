//! What people and programs read of a run: a terminal summary, an HTML page, Markdown, JSON, CSV,
//! and the statistics behind them.
//!
//! Every function takes a [`RunData`] and gives back text. Nothing here asks the
//! environment whether there is a terminal, or prints; only [`load`] reads, and what it reads are
//! the samples that belong to a record.
#![forbid(unsafe_code)]

mod across;
mod csv;
mod data;
mod html;
mod json;
mod load;
mod markdown;
mod nodewise;
mod number;
mod rows;
mod sampling;
mod shown;
mod stats;
mod steps;
mod terminal;
mod view;

pub use csv::csv;
pub use data::{CaseSamples, ChipSamples, RunData};
pub use html::html;
pub use json::{REPORT_SCHEMA, json};
pub use load::load;
pub use markdown::markdown;
pub use sampling::{Piece, downsample};
pub use shown::rate_unit;
pub use stats::{Series, Stats, window_stats};
pub use terminal::{TerminalOptions, terminal};
