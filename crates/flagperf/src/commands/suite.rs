//! The classic suite that the user is in, and what its configuration says.

use std::path::{Path, PathBuf};

use flagperf_config::SuiteChoice;
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
            master_port: Some(self.config.master_port),
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
/// STUB
#[derive(Debug, Clone, Default)]
pub(crate) struct SuiteConfig { pub vendor: String, pub pip_source: Option<String>, pub device: Option<u32>, pub visible_devices: Option<String>, pub hosts_ports: Vec<String>, pub log_level: Option<String>, pub cases: Vec<(String,String)>, pub toolkits: bool, pub nproc: Option<u32>, pub clear_caches: bool, pub container_options: Vec<String>, pub shm_size: Option<String>, pub hosts: Vec<String>, pub hosts_place: String, pub ssh_port: u16, pub master_port: u16, pub path: Option<String>, pub log_path: String }
fn read(_: &SuiteTree, _: &[String]) -> Result<(SuiteConfig, Vec<String>), Failure> { Ok(Default::default()) }
