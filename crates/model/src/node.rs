//! A node, and how it is reached.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ContainerPlan, NodeName, StepKind};

/// One node of a run with everything needed to reach it. Its rank is its place in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeSpec {
    /// Its name: unique in a run, part of file names.
    pub name: NodeName,
    /// How a process is started on it.
    pub launcher: Launcher,
    /// The host name or address at which other nodes reach it; absent means that it is to be found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Variables set for every process of a case on it. What looks secret is recorded as `***`.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "crate::secret::variables"
    )]
    pub env: BTreeMap<String, String>,
    /// Where on it the program comes from.
    #[serde(default)]
    pub program: ProgramSource,
}

/// How a process is started on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Launcher {
    /// As a child of the controller.
    Local,
    /// By the system's OpenSSH client.
    Ssh(SshTarget),
    /// By a command that passes the words behind it on unchanged, such as `kubectl exec -i pod --`.
    Exec {
        /// The command, with the node's name filled in. What looks secret is recorded as `***`.
        #[serde(serialize_with = "crate::secret::words")]
        words: Vec<String>,
    },
}

/// Whom `ssh` is to call. What is absent is left to the user's own OpenSSH configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SshTarget {
    /// A host name, an address or a `Host` alias.
    pub host: String,
    /// The user there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The port there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// A configuration file to use in the place of the user's own (`ssh -F`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// True if the key of a host that is not known yet is taken and remembered. A key that differs
    /// from the known one is refused in any case.
    #[serde(default)]
    pub accept_new_host_keys: bool,
}

/// Where the program on a node comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProgramSource {
    /// The controller puts it into the first directory that will do, if it is not there.
    #[default]
    Placed,
    /// The controller puts it into this directory.
    PlacedIn(String),
    /// It is there already, at this path.
    Installed(String),
}

/// In what environment the cases of a run are executed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// On the nodes as they are.
    #[default]
    Host,
    /// The nodes are containers that exist already: nothing is prepared, started or stopped.
    InContainer,
    /// In a container that the run makes on every node.
    Container(Box<ContainerPlan>),
}

impl Environment {
    /// The steps that a run in this environment leaves out, in the order in which they would come.
    pub fn skipped_steps(&self) -> &'static [StepKind] {
        match self {
            Self::Host | Self::Container(_) => &[],
            Self::InContainer => &StepKind::OF_CONTAINERS,
        }
    }

    /// The container that is made, if there is one.
    pub fn container(&self) -> Option<&ContainerPlan> {
        match self {
            Self::Host | Self::InContainer => None,
            Self::Container(plan) => Some(plan),
        }
    }
}

/// A node's wall clock against the controller's.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ClockOffset {
    /// How far the node's clock is ahead of the controller's, in seconds. Moments in the record are
    /// corrected by it already.
    pub ahead_s: f64,
    /// The true offset differs from `ahead_s` by at most this, in seconds: half of the shortest
    /// round trip of a message.
    pub uncertainty_s: f64,
}

/// A node that cannot take part, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BadNode {
    /// The node.
    pub node: NodeName,
    /// Why.
    pub reason: String,
    /// What can be done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
