//! What people and programs read of a run: a terminal summary, an HTML page, Markdown, JSON, CSV,
//! and the statistics behind them.
//!
//! Every function takes a [`RunData`] and gives back text. Nothing here reads a file, asks the
//! environment whether there is a terminal, or prints.
#![forbid(unsafe_code)]

mod csv;
mod data;
mod html;
mod json;
mod markdown;
mod number;
mod sampling;
mod shown;
mod stats;
mod terminal;
mod view;

pub use csv::csv;
pub use data::{CaseSamples, RunData};
pub use html::html;
pub use json::{REPORT_SCHEMA, json};
pub use markdown::markdown;
pub use sampling::{Piece, downsample};
pub use shown::rate_unit;
pub use stats::{Series, Stats, window_stats};
pub use terminal::{TerminalOptions, terminal};
