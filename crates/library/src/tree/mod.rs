//! Trees of FlagPerf's classic case libraries: recognised, listed, and their cases planned.
//!
//! A tree has up to four suites, each a directory with a contract of its own between harness and cases. The
//! cases stay as they are; what the harness owes them (argument vectors, variables, working directories, files
//! at their places) is made here. Directories and small files of the tree are read when cases are resolved;
//! planning the processes on given nodes reads nothing.

mod catalogue;
mod copy;
mod credentials;
mod error;
mod find;
mod glob;
mod host_yaml;
mod image;
mod place;
mod read;
mod remarks;
mod request;
mod resolve;
mod script;

pub use catalogue::{Adaptation, Configuration, TreeCatalogue, TreeEntry, TreeKind};
pub use error::{TreeErrors, TreeProblem};
pub use find::{FindError, SuiteTree, find_suite, find_suites};
pub use glob::name_matches;
pub use image::{TreeImage, image_of};
pub use request::{TreeRequest, TreeSettings, WantedCase};
pub use resolve::resolve_cases;
pub use script::script_name;

pub(crate) use place::place;
