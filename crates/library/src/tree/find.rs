//! Which suite of a tree a directory belongs to.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use flagperf_model::Suite;
use flagperf_text::quoted;

/// The suites by the names of their directories, in the order in which they are listed.
const SUITES: [(&str, Suite); 4] = [
    ("base", Suite::Base),
    ("operation", Suite::Operation),
    ("inference", Suite::Inference),
    ("training", Suite::Training),
];

/// The directory of a suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteTree {
    /// Which suite.
    pub suite: Suite,
    /// Its directory, absolute and without links.
    pub directory: PathBuf,
}

impl SuiteTree {
    /// The suite's name, as its directory is called in a tree: `base`.
    pub fn name(&self) -> &'static str {
        suite_name(self.suite)
    }
}

impl fmt::Display for SuiteTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "suite {} in `{}`", self.name(), self.directory.display())
    }
}

/// Why a directory does not tell a suite.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// It cannot be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its path cannot be written down.
    #[error("`{}` is a path that is not UTF-8 text; rename the directory or one above it", path.display())]
    NotText {
        /// The directory, links resolved.
        path: PathBuf,
    },
    /// Neither it nor one above it belongs to a tree.
    #[error(
        "`{}` is no part of a FlagPerf tree; expected one of its suites (a directory with `toolkits`, `container_main.py`, `run_inference.py` or `run_benchmarks`), one below it, or the directory that holds them",
        start.display()
    )]
    NoTree {
        /// The directory.
        start: PathBuf,
    },
    /// It is above several suites.
    #[error("`{}` holds the suites {}; name one of them, or go into its directory", root.display(), quoted(names.iter().copied()))]
    Several {
        /// The directory.
        root: PathBuf,
        /// The names of the suites.
        names: Vec<&'static str>,
    },
    /// The suite asked for is not in the tree.
    #[error("`{}` has no suite `{wanted}`; it has {}", root.display(), quoted(names.iter().copied()))]
    NoSuch {
        /// The directory that was looked in.
        root: PathBuf,
        /// The suite that was asked for.
        wanted: &'static str,
        /// The suites that are there.
        names: Vec<&'static str>,
    },
}

/// The suite that a directory belongs to: its own, that of a directory above it, or, where the directory holds
/// several suites, the one that is `wanted`. One that is wanted is also found beside the directory's own.
///
/// # Errors
///
/// There is no such suite, or nothing says which.
pub fn find_suite(start: &Path, wanted: Option<Suite>) -> Result<SuiteTree, FindError> {
    let (root, mut suites, own) = survey(start)?;
    let names: Vec<&'static str> = suites.iter().map(SuiteTree::name).collect();
    if let Some(suite) = wanted.or(own) {
        return match suites.iter().position(|tree| tree.suite == suite) {
            Some(place) => Ok(suites.swap_remove(place)),
            None => Err(FindError::NoSuch {
                root,
                wanted: suite_name(suite),
                names,
            }),
        };
    }
    match suites.len() {
        1 => Ok(suites.swap_remove(0)),
        _ => Err(FindError::Several { root, names }),
    }
}

/// The suites that a directory stands for: its own, or all that it holds.
///
/// # Errors
///
/// It belongs to no tree.
pub fn find_suites(start: &Path) -> Result<Vec<SuiteTree>, FindError> {
    let (_, mut suites, own) = survey(start)?;
    suites.retain(|tree| own.is_none_or(|suite| suite == tree.suite));
    Ok(suites)
}

/// The directory that holds the suites, the suites, and the one that `start` is in.
fn survey(start: &Path) -> Result<(PathBuf, Vec<SuiteTree>, Option<Suite>), FindError> {
    let from = start
        .canonicalize()
        .map_err(|source| FindError::Unreadable {
            path: start.to_owned(),
            source,
        })?;
    if from.to_str().is_none() {
        return Err(FindError::NotText { path: from });
    }
    for directory in from.ancestors() {
        if let Some(suite) = suite_of(directory) {
            let own = SuiteTree {
                suite,
                directory: directory.to_owned(),
            };
            // A suite that was copied out of its tree has no others beside it, whatever lies there.
            let root = directory.parent().unwrap_or(directory).to_owned();
            let mut suites = suites_in(&root);
            if !suites.contains(&own) {
                suites = vec![own];
            }
            return Ok((root, suites, Some(suite)));
        }
        let suites = suites_in(directory);
        if !suites.is_empty() {
            return Ok((directory.to_owned(), suites, None));
        }
    }
    Err(FindError::NoTree { start: from })
}

fn suites_in(directory: &Path) -> Vec<SuiteTree> {
    let of_name = SUITES.iter().filter_map(|(name, suite)| {
        let directory = directory.join(name);
        (suite_of(&directory) == Some(*suite)).then_some(SuiteTree {
            suite: *suite,
            directory,
        })
    });
    of_name.collect()
}

/// What a directory is, by what each suite's harness needs in it.
fn suite_of(directory: &Path) -> Option<Suite> {
    let has_directory = |name: &str| directory.join(name).is_dir();
    let has_file = |name: &str| directory.join(name).is_file();
    if has_directory("run_benchmarks") && has_directory("benchmarks") {
        Some(Suite::Training)
    } else if has_file("run_inference.py") {
        Some(Suite::Inference)
    } else if has_file("container_main.py")
        && (has_directory("benchmarks") || has_directory("toolkits"))
    {
        // These two share everything but the toolkits, which only one has. A tree cut down to its benchmarks
        // is told by its name.
        let is_base = has_directory("toolkits") || directory.ends_with("base");
        Some(if is_base {
            Suite::Base
        } else {
            Suite::Operation
        })
    } else {
        None
    }
}

pub(super) fn suite_name(suite: Suite) -> &'static str {
    match suite {
        Suite::Base => "base",
        Suite::Operation => "operation",
        Suite::Inference => "inference",
        Suite::Training => "training",
    }
}
