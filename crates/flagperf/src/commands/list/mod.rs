//! `flagperf list`: the cases and whether this machine can run them; in a classic tree, what it has.

mod tree;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use flagperf_host::Root;
use flagperf_library::{Library, PlanNode, SuiteTree, TreeCatalogue};
use flagperf_model::{Environment, Launcher, NodeName, NodeSpec, Outcome, ProgramSource, RunId};
use owo_colors::OwoColorize;

use crate::cli::ListArgs;
use crate::exit::{Exit, Failure};
use crate::output::print;

pub(crate) fn list(args: &ListArgs) -> Result<Exit, Failure> {
    if args.case_directory.is_none() {
        let start = args.tree.as_deref();
        match flagperf_library::find_suites(start.unwrap_or(Path::new("."))) {
            Ok(suites) => return list_trees(args, &suites),
            Err(error) if start.is_some() => return Err(Failure::usage(error)),
            // Elsewhere the built-in cases are meant.
            Err(_) => {}
        }
    }
    list_library(args)
}

/// The suites of a classic tree.
fn list_trees(args: &ListArgs, suites: &[SuiteTree]) -> Result<Exit, Failure> {
    let wanted = |name: &str| {
        args.cases.is_empty()
            || args
                .cases
                .iter()
                .any(|pattern| flagperf_library::name_matches(pattern, name))
    };
    let width = rustix::termios::tcgetwinsize(std::io::stdout())
        .ok()
        .map(|size| size.ws_col)
        .filter(|&columns| columns > 0);
    let mut text = String::new();
    for suite in suites {
        let catalogue = TreeCatalogue::read(suite).map_err(Failure::usage)?;
        text.push_str(&tree::describe(suite, &catalogue, wanted, width));
        if suites.len() > 1 {
            text.push('\n');
        }
    }
    print(&text).map_err(|error| unwritten(&error))?;
    Ok(Exit::Success)
}

fn unwritten(error: &std::io::Error) -> Failure {
    Failure::usage(format!("the list cannot be written: {error}"))
}

fn list_library(args: &ListArgs) -> Result<Exit, Failure> {
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
        names: &args.cases,
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
    .map_err(Failure::usage)?;
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
    print(&text).map_err(|error| unwritten(&error))?;
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
