//! The classic suite that the user is in, and what its configuration says.

use std::path::{Path, PathBuf};

use flagperf_config::classic::{
    ClassicFiles, ConfigFile, SuiteConfig, SuiteReading, override_suite, read_classic,
};
use flagperf_config::{Settings, SettingsError, SuiteChoice};
use flagperf_library::{FindError, SuiteTree, find_suite};
use flagperf_model::Suite;

use crate::cli::SuiteArgs;
use crate::commands::settings;
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
    /// The suite of a directory; if none is named, that of the settings or of the current directory, if there is one.
    /// `settings` is the file with settings that the user named.
    pub(crate) fn find(args: &SuiteArgs, settings: Option<&Path>) -> Result<Option<Self>, Failure> {
        let file = settings::file(settings);
        let table = match &file {
            Some(path) => of_table(&settings::read(path)?, path, args)?,
            None => None,
        };
        if let Some(suite) = table {
            return Ok(Some(suite));
        }
        let directory = args.tree.as_deref();
        let tree = match find_suite(directory.unwrap_or(Path::new(".")), None) {
            Ok(tree) => tree,
            Err(FindError::NoTree { .. } | FindError::NotText { .. }) if directory.is_none() => {
                return Ok(None);
            }
            Err(error) => {
                return Err(Failure::usage(error));
            }
        };
        let reading = of_files(&tree, &args.set)?;
        Ok(Some(Self::new(tree, reading)))
    }

    fn new(tree: SuiteTree, reading: SuiteReading) -> Self {
        Self {
            tree,
            config: reading.config,
            warnings: warnings(reading.warnings),
        }
    }

    /// What its configuration says of nodes.
    pub(crate) fn choice(&self) -> SuiteChoice {
        SuiteChoice {
            hosts: self.config.hosts.clone(),
            port: self.config.ssh_port.filter(|&port| port != SSH_PORT),
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

/// What is to be said about a configuration, one line each.
pub(crate) fn warnings(found: Vec<SettingsError>) -> Vec<String> {
    found
        .into_iter()
        .map(|one| {
            format!(
                "{}:{}:{}: {}",
                one.path.display(),
                one.line,
                one.column,
                one.message
            )
        })
        .collect()
}

/// The suite of the table `[suite]`, if there is one. Its directory is the one named, or that of the file.
fn of_table(
    settings: &Settings,
    file: &Path,
    args: &SuiteArgs,
) -> Result<Option<OpenSuite>, Failure> {
    let Some(reading) = settings.suite() else {
        return Ok(None);
    };
    let beside = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let told = reading.config.path.as_ref().map(|path| beside.join(path));
    let start = match (&args.tree, &told) {
        (Some(tree), _) => tree,
        (None, Some(told)) => told,
        (None, None) => beside,
    };
    let tree = find_suite(start, Some(reading.config.suite())).map_err(Failure::usage)?;
    let reading =
        override_suite(reading.config, reading.case_places, &args.set).map_err(Failure::usage)?;
    Ok(Some(OpenSuite::new(tree, reading)))
}

fn file((path, bytes): &(PathBuf, Vec<u8>)) -> ConfigFile<'_> {
    ConfigFile { path, bytes }
}

/// What the files of a suite say.
pub(crate) fn of_files(tree: &SuiteTree, set: &[String]) -> Result<SuiteReading, Failure> {
    let read = |name: &str| {
        let path = tree.directory.join(name);
        std::fs::read(&path)
            .map_err(|error| {
                Failure::usage(format!(
                    "the configuration of {tree} cannot be read: `{}`: {error}",
                    path.display()
                ))
            })
            .map(|bytes| (path, bytes))
    };
    if tree.suite == Suite::Training {
        let cluster = read("run_benchmarks/config/cluster_conf.py")?;
        let test = read("run_benchmarks/config/test_conf.py")?;
        let files = ClassicFiles::Training {
            cluster: file(&cluster),
            test: file(&test),
        };
        return read_classic(&files, set).map_err(Failure::usage);
    }
    let host = read("configs/host.yaml")?;
    let files = match tree.suite {
        Suite::Operation => ClassicFiles::Operation(file(&host)),
        Suite::Inference => ClassicFiles::Inference(file(&host)),
        Suite::Base | Suite::Training => ClassicFiles::Base(file(&host)),
    };
    read_classic(&files, set).map_err(Failure::usage)
}
