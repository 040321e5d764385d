//! Texts that people write: TOML, YAML and the assignments of Python modules, with every mistake
//! reported at its place, and the nearest right word to a wrong one.
//!
//! Definitions of cases and the settings of a cluster are read by crates that do not know each
//! other; what both need to speak to their authors in the same way is here. Nothing here reads a
//! file or knows what a text is about.

#![forbid(unsafe_code)]

mod data;
mod decode;
mod nearest;
pub mod python;
mod toml_reader;
pub mod yaml;

pub use data::{Data, Spanned};
pub use decode::decode;
pub use nearest::{nearest, printable, quoted, shown};
pub use toml_reader::{Problem, Reader, Section, locate, read_document};
