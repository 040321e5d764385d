//! `flagperf.toml`: which nodes there are, how they are reached, and how patient the program is.

mod container;
mod errors;
mod nodes;
mod read;
mod suite;
mod values;

use std::collections::BTreeMap;
use std::time::Duration;

use flagperf_model::{NodeName, ProgramSource};

use crate::classic::SuiteReading;
use crate::container::ContainerChoice;
use crate::launcher::LauncherKind;
use crate::template::Template;

pub use container::split;
pub(crate) use container::usual_options;
pub use errors::{SettingsError, SettingsErrors};
pub use read::parse_settings;
pub(crate) use suite::SuiteTable;

/// What a `flagperf.toml` says, checked. The default is what holds without one.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The nodes, each once, in the order of the file.
    pub(crate) nodes: Option<Vec<NodeName>>,
    pub(crate) launcher: Option<LauncherKind>,
    pub(crate) exec: Option<Template>,
    pub(crate) ssh_config: Option<String>,
    pub(crate) accept_new_host_keys: bool,
    pub(crate) in_container: Option<bool>,
    pub(crate) container: Option<ContainerChoice>,
    pub(crate) suite: Option<SuiteTable>,
    pub(crate) master_port: Option<u16>,
    pub(crate) max_parallel: usize,
    pub(crate) timing: Timing,
    /// For every node.
    pub(crate) defaults: NodeSettings,
    /// For some of the nodes; where two name the same node, the later one wins.
    pub(crate) overrides: Vec<(Vec<NodeName>, NodeSettings)>,
}

impl Settings {
    /// What the table `[suite]` says, together with the nodes and ports of the rest; absent if there is no
    /// such table.
    pub fn suite(&self) -> Option<SuiteReading> {
        let table = self.suite.as_ref()?;
        let nodes = self.nodes.as_deref();
        let (config, case_places) = table.with(nodes, self.defaults.port, self.master_port);
        Some(SuiteReading {
            config,
            case_places,
            warnings: Vec::new(),
        })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            nodes: None,
            launcher: None,
            exec: None,
            ssh_config: None,
            accept_new_host_keys: false,
            in_container: None,
            container: None,
            suite: None,
            master_port: None,
            max_parallel: 64,
            timing: Timing::default(),
            defaults: NodeSettings::default(),
            overrides: Vec::new(),
        }
    }
}

/// How long the program waits for a node. `heartbeat < silent < lost` always holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long a node may take from the first attempt to reach it until its agent answers.
    pub connect: Duration,
    /// Time between two signs of life of a session that has nothing else to say.
    pub heartbeat: Duration,
    /// A node that said nothing for so long is reported as silent.
    pub silent: Duration,
    /// A node that said nothing for so long is lost.
    pub lost: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            heartbeat: Duration::from_secs(2),
            silent: Duration::from_secs(10),
            lost: Duration::from_secs(30),
        }
    }
}

/// What is known about a node besides its name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NodeSettings {
    pub(crate) launcher: Option<LauncherKind>,
    /// Whom ssh calls, where that is neither the address nor the name.
    pub(crate) host: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) program: Option<ProgramSource>,
}

impl NodeSettings {
    /// Puts over this what other settings say.
    pub(crate) fn overlay(&mut self, other: &Self) {
        fn set<T: Clone>(below: &mut Option<T>, above: Option<&T>) {
            if above.is_some() {
                *below = above.cloned();
            }
        }
        let Self {
            launcher,
            host,
            address,
            user,
            port,
            env,
            program,
        } = other;
        set(&mut self.launcher, launcher.as_ref());
        set(&mut self.host, host.as_ref());
        set(&mut self.address, address.as_ref());
        set(&mut self.user, user.as_ref());
        set(&mut self.port, port.as_ref());
        set(&mut self.program, program.as_ref());
        self.env.extend(
            env.iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
    }
}
