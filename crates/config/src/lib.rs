//! Which nodes a run has, and how each of them is reached; and what a suite is to do, as the original's
//! configuration files say it.
//!
//! Lists of nodes are read as Slurm and ClusterShell write them ([`nodeset`]), and settings from a
//! `flagperf.toml` ([`parse_settings`]); [`resolve`] puts them and the command line together. The original's files are read by [`classic`]. Nothing here opens a file, starts a command or looks at
//! the environment: the caller does that and hands over the texts. `docs/nodes.md` and
//! `docs/config-files.md` describe it all for the people who write them.

#![forbid(unsafe_code)]

pub mod classic;
mod container;
mod environment;
mod launcher;
mod listing;
pub mod nodeset;
mod resolve;
mod settings;
mod template;

use std::fmt;

pub use container::{ContainerChoice, ContainerRequest, options_now};
pub use environment::{ExecInContainerError, decide_environment, read_exec_in_container};
pub use launcher::{LauncherError, LauncherKind};
pub use resolve::{
    Choice, Inventory, NodeSource, ResolveError, ResolveErrors, SuiteChoice, resolve,
};
pub use settings::{Settings, SettingsError, SettingsErrors, Timing, parse_settings, split};

/// Writes one mistake a line.
fn lines<T: fmt::Display>(f: &mut fmt::Formatter<'_>, all: &[T]) -> fmt::Result {
    for (index, one) in all.iter().enumerate() {
        if index > 0 {
            f.write_str("\n")?;
        }
        one.fmt(f)?;
    }
    Ok(())
}
