//! Directories of this machine that nodes need, packed before anything starts, each once.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use flagperf_archive::Changes;
use flagperf_engine::Trees;
use flagperf_model::{Launcher, NodeName, Plan, PlannedCase, PrivateCopy};

use super::container;
use crate::exit::Failure;

/// A directory of which every node gets a private copy.
pub(super) struct Copied<'p> {
    pub(super) directory: &'p str,
    /// How the copy differs from it.
    pub(super) changes: &'p PrivateCopy,
    /// Files and links in it.
    pub(super) files: u64,
    /// Their size in bytes.
    pub(super) bytes: u64,
    /// Bytes that go to each node.
    pub(super) packed: u64,
    /// What could not be copied, in words.
    pub(super) problems: Vec<String>,
}

/// Packs what the rounds of a plan need, given by their places, beside what is packed already. Gives the directories of
/// which there will be private copies.
pub(super) fn pack<'p>(
    plan: &'p Plan,
    rounds: &[usize],
    trees: &mut Trees,
) -> Result<Vec<Copied<'p>>, Failure> {
    let distant: HashSet<&NodeName> = plan
        .nodes
        .iter()
        .filter(|node| node.launcher != Launcher::Local)
        .map(|node| &node.name)
        .collect();
    let mut copied = Vec::new();
    for case in rounds.iter().filter_map(|&place| plan.cases.get(place)) {
        // What is in a container does not see this machine's directories.
        let is_inside = plan.container_of(case).is_some();
        for task in &case.tasks {
            let Some(directory) = &task.case_directory else {
                continue;
            };
            if let Some(changes) = &task.copy {
                copied.extend(copy(directory, changes, trees)?);
            } else if is_inside || distant.contains(&task.node) {
                whole(directory, "the case directory", trees)?;
            }
        }
        for directory in setup_directories(case) {
            whole(directory, "the directory of the setup commands", trees)?;
        }
    }
    for group in plan.groups(rounds) {
        if let Some(container) = group.container {
            container::pack_again(container, trees)?;
        }
    }
    Ok(copied)
}

fn setup_directories(case: &PlannedCase) -> impl Iterator<Item = &String> {
    let commands = case.setup.iter();
    commands.filter_map(|command| command.directory.as_ref())
}

/// The problems of all copies, as warnings.
pub(super) fn warnings(copied: &[Copied<'_>]) -> impl Iterator<Item = String> {
    copied.iter().flat_map(|copied| {
        let problems = copied.problems.iter();
        problems.map(|problem| format!("the copy of `{}`: {problem}", copied.directory))
    })
}

/// Packs a directory as it is, if that was not done yet. All of it must be fit for that.
pub(super) fn whole(directory: &str, what: &str, trees: &mut Trees) -> Result<Arc<[u8]>, Failure> {
    if let Some(packed) = trees.packed(directory, None) {
        return Ok(Arc::clone(packed));
    }
    let unreadable = |why: String| {
        Failure::usage(format!(
            "{what} `{directory}` cannot be copied to the nodes: {why}"
        ))
    };
    let mut packed = Vec::new();
    let report = flagperf_archive::pack(Path::new(directory), &mut packed)
        .map_err(|error| unreadable(error.to_string()))?;
    if let Some(problem) = report.problems.first() {
        let problem = problem.strip_suffix(" and left out").unwrap_or(problem);
        return Err(unreadable(problem.to_owned()));
    }
    let packed: Arc<[u8]> = packed.into();
    trees.add(directory, None, Arc::clone(&packed));
    Ok(packed)
}

/// Packs a directory with changes, if that was not done yet.
fn copy<'p>(
    directory: &'p str,
    changes: &'p PrivateCopy,
    trees: &mut Trees,
) -> Result<Option<Copied<'p>>, Failure> {
    if trees.packed(directory, Some(changes)).is_some() {
        return Ok(None);
    }
    let mut packed = Vec::new();
    let differs = Changes {
        without: &changes.without,
        files: &changes.files,
        unix_lines: &changes.unix_lines,
    };
    let report = flagperf_archive::pack_changed(Path::new(directory), &differs, &mut packed)
        .map_err(|error| {
            Failure::usage(format!(
                "the directory `{directory}` cannot be copied to the nodes: {error}"
            ))
        })?;
    let size = packed.len() as u64;
    trees.add(directory, Some(changes), packed.into());
    Ok(Some(Copied {
        directory,
        changes,
        files: report.files,
        bytes: report.bytes,
        packed: size,
        problems: report.problems,
    }))
}
