//! Settings and command line into the nodes of a run.

mod names;
mod reach;

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use flagperf_model::{Environment, NodeName, NodeSpec};

use crate::container::{Asked, ContainerChoice, ContainerRequest, decide, option_words};
use crate::environment::{ExecInContainerError, decide_environment};
use crate::launcher::LauncherKind;
use crate::settings::{NodeSettings, Settings, Timing};

/// What the command line and the environment say. The default is that they say nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// Where the list of nodes comes from; absent means from the settings.
    pub nodes: Option<NodeSource>,
    /// `--launcher`: how every node is reached.
    pub launcher: Option<LauncherKind>,
    /// `--exec`: the command that reaches a node, split into words as a shell would.
    pub exec: Option<String>,
    /// `--ssh-config`: the configuration file for ssh, as a path that ssh can open.
    pub ssh_config: Option<String>,
    /// `--accept-new-host-keys`.
    pub accept_new_host_keys: bool,
    /// `--in-container`.
    pub in_container: Option<bool>,
    /// The text of the environment variable `EXEC_IN_CONTAINER`, if it is set.
    pub exec_in_container: Option<String>,
    /// `--container`.
    pub container: Option<bool>,
    /// What the command line says about the container.
    pub container_choice: ContainerChoice,
    /// `--container-options`: further options of the engine's command, split into words as a shell would.
    pub container_options: Option<String>,
    /// What the configuration of a suite says, if the run is of one. It counts less than the settings.
    pub suite: Option<SuiteChoice>,
}

/// What the configuration of a classic suite says about its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SuiteChoice {
    /// The hosts, in the order of their ranks, none twice.
    pub hosts: Vec<NodeName>,
    /// The port of their ssh servers, if it is not the usual one.
    pub port: Option<u16>,
    /// The port at which ranks meet.
    pub master_port: Option<u16>,
}

/// A list of nodes from elsewhere than the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeSource {
    /// The value of `--nodes`.
    List(String),
    /// A file of node sets, one or more a line, with `#` before comments.
    File {
        /// How errors name it.
        path: String,
        /// What is in it.
        text: String,
    },
    /// What a command printed, in the form of such a file.
    Output {
        /// How errors name it.
        command: String,
        /// What it printed.
        text: String,
    },
    /// The value of `SLURM_JOB_NODELIST`.
    Slurm(String),
}

/// The nodes of a run and all that is needed to reach them.
#[derive(Debug, Clone, PartialEq)]
pub struct Inventory {
    /// The nodes by rank. Without any, the run is on the machine of the controller alone.
    pub nodes: Vec<NodeSpec>,
    /// Those of which the settings say themselves who is called or by what launcher.
    pub settled: BTreeSet<NodeName>,
    /// How long the program waits for a node.
    pub timing: Timing,
    /// The port at which the ranks of a case that spans its nodes meet; absent means that one is chosen
    /// that is free on the first node.
    pub master_port: Option<u16>,
    /// So many nodes are connected to at the same time.
    pub max_parallel: usize,
    /// In what environment the cases are executed.
    pub environment: Environment,
    /// How that was decided, in words for the log; absent if nothing was said about it.
    pub environment_reason: Option<String>,
    /// The container that the run makes on every node, if it makes one. The environment says so only when its
    /// image was looked at, which is not done here.
    pub container: Option<ContainerRequest>,
}

/// A reason why there is no inventory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// A list of nodes is wrong.
    #[error("{place}: {message}")]
    Nodes {
        /// Of which list, and where in it.
        place: String,
        /// What is wrong and what was expected.
        message: String,
    },
    /// What the command line says does not go together with itself or with the settings.
    #[error("{0}")]
    Choice(String),
    /// `EXEC_IN_CONTAINER` says neither yes nor no.
    #[error(transparent)]
    Environment(#[from] ExecInContainerError),
}

/// Every reason why there is no inventory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ResolveErrors(
    /// At least one.
    pub Vec<ResolveError>,
);

impl fmt::Display for ResolveErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::lines(f, &self.0)
    }
}

/// Puts together which nodes a run has and how each is reached. The same settings and choice
/// always give the same inventory.
///
/// # Errors
///
/// Everything that is wrong, at once. A list of nodes that cannot be read hides what would be
/// wrong with its nodes.
pub fn resolve(settings: &Settings, choice: &Choice) -> Result<Inventory, ResolveErrors> {
    let mut errors = Vec::new();
    let environment = decide_environment(
        choice.in_container,
        choice.exec_in_container.as_deref(),
        settings.in_container,
    );
    let (environment, environment_reason) = environment.unwrap_or_else(|error| {
        errors.push(error.into());
        (Environment::Host, None)
    });
    let mut line = choice.container_choice.clone();
    if let Some(text) = &choice.container_options {
        match option_words(text) {
            Ok(words) => line.options.extra = words,
            Err(error) => errors.push(error),
        }
    }
    let inside = environment_reason
        .as_deref()
        .filter(|_| environment == Environment::InContainer);
    let asked = Asked {
        flag: choice.container,
        line: &line,
        file: settings.container.as_ref(),
        suite: choice.suite.is_some(),
    };
    let container = decide(&asked, inside).unwrap_or_else(|error| {
        errors.push(error);
        None
    });
    let names = match &choice.nodes {
        Some(source) => names::read(source, settings, &mut errors),
        None => match (&settings.nodes, &choice.suite) {
            (Some(nodes), _) => Some(nodes.clone()),
            (None, Some(suite)) => Some(suite.hosts.clone()),
            (None, None) => Some(Vec::new()),
        },
    };
    let launchers = reach::launchers(settings, choice, &mut errors);
    let mut settled = BTreeSet::new();
    let nodes = match (names, launchers) {
        (Some(names), Some(launchers)) => {
            let port = choice.suite.as_ref().and_then(|suite| suite.port);
            let known = known(settings, &names, port);
            let says = |about: &NodeSettings| about.launcher.is_some() || about.host.is_some();
            settled.extend(
                known
                    .iter()
                    .filter(|(_, about)| says(about))
                    .map(|(name, _)| (*name).clone()),
            );
            launchers.specs(&names, known, &mut errors)
        }
        _ => Vec::new(),
    };
    if !errors.is_empty() {
        return Err(ResolveErrors(errors));
    }
    Ok(Inventory {
        nodes,
        settled,
        timing: settings.timing,
        master_port: settings
            .master_port
            .or_else(|| choice.suite.as_ref()?.master_port),
        max_parallel: settings.max_parallel,
        environment,
        environment_reason,
        container,
    })
}

/// What the settings say about each of the nodes. `port` holds where they say nothing about one.
fn known<'n>(
    settings: &Settings,
    names: &'n [NodeName],
    port: Option<u16>,
) -> HashMap<&'n NodeName, NodeSettings> {
    let mut usual = settings.defaults.clone();
    usual.port = usual.port.or(port);
    let mut known: HashMap<&NodeName, NodeSettings> =
        names.iter().map(|name| (name, usual.clone())).collect();
    for (about, more) in &settings.overrides {
        for name in about {
            if let Some(so_far) = known.get_mut(name) {
                so_far.overlay(more);
            }
        }
    }
    known
}
