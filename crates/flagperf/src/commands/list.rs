//! `flagperf list`: the cases and whether this machine can run them.

use std::io::Write;
use std::path::Path;

use flagperf_host::Root;
use flagperf_library::Library;
use flagperf_model::{NodeName, RunId};
use owo_colors::OwoColorize;

use crate::cli::ListArgs;
use crate::exit::{Exit, Failure};

pub(crate) fn list(args: &ListArgs) -> Result<Exit, Failure> {
    let library = library(args.case_directory.as_deref())?;
    let facts = flagperf_host::facts(&Root::new("/"));
    let node = NodeName::new("localhost").map_err(Failure::internal)?;
    let plan = flagperf_library::plan(&flagperf_library::PlanRequest {
        run: RunId::new("run-list").map_err(Failure::internal)?,
        library: &library,
        names: &[],
        params: &[],
        rounds: 1,
        duration_s: 5.0,
        timeout_s: None,
        stall_s: None,
        interval_ns: 1_000_000_000,
        nodes: &[(node, facts)],
        agent_program: "flagperf",
    })
    .map_err(Failure::internal)?;
    let width = library
        .cases()
        .map(|case| case.name.as_str().len())
        .max()
        .unwrap_or(0);
    let mut stdout = anstream::stdout().lock();
    for case in &plan.cases {
        let name = case.name();
        let summary = &case.spec.summary;
        let line = match &case.unsupported {
            None => writeln!(stdout, "{:width$}  {summary}", name.bold()),
            Some(feature) => writeln!(
                stdout,
                "{:width$}  {summary}\n{:width$}  {}",
                name.dimmed(),
                "",
                format_args!("not supported by this processor: {feature}").yellow()
            ),
        };
        if line.is_err() {
            // The reader has seen enough and closed the pipe.
            break;
        }
    }
    Ok(Exit::Success)
}

/// The built-in cases, and those of a directory where one is named.
pub(crate) fn library(directory: Option<&Path>) -> Result<Library, Failure> {
    let library = Library::builtin().map_err(Failure::internal)?;
    match directory {
        Some(path) => library.with_directory(path).map_err(Failure::usage),
        None => Ok(library),
    }
}
