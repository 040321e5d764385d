//! The classic suite that the user is in, and what its configuration says.

use std::path::{Path, PathBuf};

use flagperf_config::{SuiteChoice, SuiteConfig, SuiteFile, read_suite, suite_files};
use flagperf_library::{FindError, SuiteTree, find_suite};

use crate::exit::Failure;

/// The port of ssh servers if nothing is said.
const SSH_PORT: u16 = 22;

/// A suite with its configuration.
pub(crate) struct OpenSuite {
    pub(crate) tree: SuiteTree,
    pub(crate) config: SuiteConfig,
    /// What is to be said about the configuration.
    pub(crate) warnings: Vec<String>,
}

impl OpenSuite {
    /// The suite of a directory; if none is named, that of the current one, if it is in a suite.
    pub(crate) fn find(directory: Option<&Path>, set: &[String]) -> Result<Option<Self>, Failure> {
        let start = directory.unwrap_or(Path::new("."));
        let tree = match find_suite(start, None) {
            Ok(tree) => tree,
            Err(FindError::NoTree { .. } | FindError::NotText { .. }) if directory.is_none() => {
                return Ok(None);
            }
            Err(error) => {
                return Err(Failure::usage(error));
            }
        };
        let (config, warnings) = read(&tree, set)?;
        Ok(Some(Self {
            tree,
            config,
            warnings,
        }))
    }

    /// What its configuration says of nodes.
    pub(crate) fn choice(&self) -> SuiteChoice {
        SuiteChoice {
            hosts: self.config.hosts.clone(),
            place: self.config.hosts_place.clone(),
            port: Some(self.config.ssh_port).filter(|&port| port != SSH_PORT),
            master_port: self.config.master_port,
        }
    }

    /// The directory that receives the directories of runs: as configured, relative to the suite. A path below where
    /// the configuration believes the suite to be is taken below where it is.
    pub(crate) fn results(&self) -> PathBuf {
        let told = Path::new(&self.config.log_path);
        let below = self
            .config
            .path
            .as_ref()
            .and_then(|path| told.strip_prefix(path).ok());
        self.tree.directory.join(below.unwrap_or(told))
    }

    /// Directories that hold results, none of which is copied to nodes.
    pub(crate) fn result_directories(&self, chosen: Option<&Path>) -> Vec<String> {
        let mut all = vec![self.results()];
        // A relative one is below the current directory, which may be in the suite.
        all.extend(chosen.and_then(|path| std::path::absolute(path).ok()));
        all.into_iter()
            .map(|path| path.to_string_lossy().into_owned())
            .collect()
    }
}
/// Reads the configuration of a suite.
fn read(tree: &SuiteTree, set: &[String]) -> Result<(SuiteConfig, Vec<String>), Failure> {
    let mut files = Vec::new();
    for name in suite_files(tree.suite) {
        let path = tree.directory.join(name);
        let bytes = std::fs::read(&path).map_err(|error| {
            Failure::usage(format!(
                "the configuration of {tree} cannot be read: `{}`: {error}",
                path.display()
            ))
        })?;
        let text = flagperf_text::decode(&bytes).map_err(|problem| {
            Failure::usage(format!(
                "{}:{}:{}: {}",
                path.display(),
                problem.line,
                problem.column,
                problem.message
            ))
        })?;
        files.push(SuiteFile {
            text: text.to_owned(),
            path,
        });
    }
    read_suite(tree.suite, &files, set).map_err(Failure::usage)
}
