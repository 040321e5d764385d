//! Container mode: what is made on a node before cases, and taken away after them.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::CaseName;

/// A container that a run makes on every node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerPlan {
    /// The engine; absent means the first that the node has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineKind>,
    /// Name of the image, with its tag.
    pub image: String,
    /// Where the image comes from.
    pub source: ImageSource,
    /// How the container is started.
    pub options: ContainerOptions,
    /// Commands that make it ready, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<SetupCommand>,
    /// Whose it is: `uid@host` of the controller.
    pub owner: String,
    /// True if it is left for looking into.
    #[serde(default)]
    pub keep: bool,
}

/// A container engine, by the command that speaks for it on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// Docker Engine.
    Docker,
    /// Podman.
    Podman,
    /// nerdctl, for containerd.
    Nerdctl,
}

impl EngineKind {
    /// In the order in which they are looked for.
    pub const ALL: [Self; 3] = [Self::Docker, Self::Podman, Self::Nerdctl];

    /// Its command.
    pub fn command(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Nerdctl => "nerdctl",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.command())
    }
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageSource {
    /// It must be there already.
    Present,
    /// It is fetched from its registry before each run.
    Pulled,
    /// It is built from a directory.
    Built(ImageBuild),
}

/// How an image is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageBuild {
    /// The directory on the controller, which holds a `Dockerfile`.
    pub directory: String,
    /// A script in it that is run in a container of the image, whose changes become part of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<String>,
    /// BLAKE3 of the directory's content, in hexadecimal: an image made of the same is not made again.
    pub content: String,
    /// When it is built.
    pub policy: BuildPolicy,
    /// True if one node builds it and the others get it from there.
    #[serde(default)]
    pub once: bool,
}

/// When an image is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BuildPolicy {
    /// It must be there, whatever it was made of.
    Never,
    /// If it is not there, or was made of something else.
    #[default]
    Auto,
    /// In any case.
    Always,
}

/// How a container is started. The words of an engine's command line are made of this one by one; none
/// passes through a shell.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ContainerOptions {
    /// Its network: `host`, or as the engine names one. Absent means the engine's usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Whose shared memory it sees: `host`, `private`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipc: Option<String>,
    /// Whose host name it has: `host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uts: Option<String>,
    /// All rights on all devices.
    #[serde(default)]
    pub privileged: bool,
    /// A small first process that reaps orphans. The agent does that itself.
    #[serde(default)]
    pub init: bool,
    /// Size of `/dev/shm`, as the engine reads it: `16G`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<String>,
    /// `seccomp=unconfined` and the like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security: Vec<String>,
    /// `memlock=-1` and the like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ulimits: Vec<String>,
    /// Device files of the node: `/dev/davinci0`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// Directories of the node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Variables of every process in it. What looks secret is recorded as `***`.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "crate::secret::variables"
    )]
    pub env: BTreeMap<String, String>,
    /// Working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// Further options of the engine's command, word by word. What looks secret is recorded as `***`.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "crate::secret::words"
    )]
    pub extra: Vec<String>,
}

/// A directory or file of the node that is seen in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mount {
    /// Its path on the node.
    pub from: String,
    /// Its path in the container.
    pub to: String,
    /// True if it cannot be written there.
    #[serde(default)]
    pub read_only: bool,
}

/// A command that makes a container, or a case, ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetupCommand {
    /// The argument vector.
    pub argv: Vec<String>,
    /// Variables for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The directory on the controller that it runs in a copy of; absent for where a container's first process runs,
    /// and for a case's command for where the processes of its task do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// It is ended when it has run this long, in seconds.
    pub timeout_s: u32,
}

/// A step on the way to a case. Those of container mode are absent where the nodes are containers already.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// The image is found, fetched or built.
    PrepareImage,
    /// The container is started, and the agent in it answers.
    StartContainer,
    /// The commands that make it ready are run.
    ConfigureContainer,
    /// The commands that make a case ready are run.
    PrepareCase,
    /// The container is ended and removed.
    StopContainer,
}

impl StepKind {
    /// Those of container mode, in their order.
    pub const OF_CONTAINERS: [Self; 4] = [
        Self::PrepareImage,
        Self::StartContainer,
        Self::ConfigureContainer,
        Self::StopContainer,
    ];

    /// As file names have it: `prepare-image`.
    pub fn slug(self) -> &'static str {
        match self {
            Self::PrepareImage => "prepare-image",
            Self::StartContainer => "start-container",
            Self::ConfigureContainer => "configure-container",
            Self::PrepareCase => "prepare-case",
            Self::StopContainer => "stop-container",
        }
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PrepareImage => "prepare image",
            Self::StartContainer => "start container",
            Self::ConfigureContainer => "configure container",
            Self::PrepareCase => "prepare case",
            Self::StopContainer => "stop container",
        })
    }
}

/// How a step ended on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// Well.
    Done {
        /// What was done, in words: `built`, `was there`.
        what: String,
    },
    /// Badly.
    Failed {
        /// Why.
        reason: String,
        /// What can be done about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
        /// The last lines of what was printed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tail: Vec<String>,
    },
}

/// A step on a node, as it is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepRecord {
    /// Which.
    pub step: StepKind,
    /// For which group of rounds with the same container, from 1.
    #[serde(default = "first_group", skip_serializing_if = "is_first_group")]
    pub group: u32,
    /// For which case, if it was for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseName>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How it ended.
    pub outcome: StepOutcome,
    /// The file with what it printed, relative to the run directory; absent if it printed nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// The number of a group where none is told: the first.
pub(crate) fn first_group() -> u32 {
    1
}

/// True for the number that is not told.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
pub(crate) fn is_first_group(group: &u32) -> bool {
    *group == first_group()
}
