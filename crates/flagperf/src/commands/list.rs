//! `flagperf list`: the cases and whether this machine can run them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use flagperf_host::Root;
use flagperf_library::{Library, PlanNode};
use flagperf_model::{Environment, Launcher, NodeName, NodeSpec, Outcome, ProgramSource, RunId};
use owo_colors::OwoColorize;

use crate::cli::ListArgs;
use crate::exit::{Exit, Failure};
use crate::output::print;

pub(crate) fn list(args: &ListArgs) -> Result<Exit, Failure> {
    let library = library(args.case_directory.as_deref())?;
    let facts = flagperf_host::facts(&Root::new("/"));
    let node = NodeSpec {
        name: NodeName::new("localhost").map_err(Failure::internal)?,
        launcher: Launcher::Local,
        address: None,
        env: BTreeMap::new(),
        program: ProgramSource::default(),
    };
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
        nodes: &[PlanNode {
            spec: node,
            facts: Some(facts),
        }],
        environment: Environment::default(),
        master: ("127.0.0.1", 1),
    })
    .map_err(Failure::internal)?;
    let width = library
        .cases()
        .map(|case| case.name.as_str().len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for case in &plan.cases {
        let name = case.name();
        let summary = &case.spec.summary;
        // Writing to a string cannot fail.
        let _ = match &case.unsupported {
            None => writeln!(text, "{:width$}  {summary}", name.bold()),
            Some(feature) => writeln!(
                text,
                "{:width$}  {summary}\n{:width$}  {}",
                name.dimmed(),
                "",
                Outcome::Unsupported {
                    feature: feature.clone()
                }
                .to_string()
                .yellow()
            ),
        };
    }
    print(&text).map_err(|error| Failure::usage(format!("the list cannot be written: {error}")))?;
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
