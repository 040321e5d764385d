//! The fully resolved list of what a run will do, printable before anything happens.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    CaseName, CaseSpec, ContainerPlan, Environment, NodeName, NodeSpec, ParamValue, PrivateCopy,
    Remark, RunId, SetupCommand,
};

/// Everything a run will do, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The run's name.
    pub run: RunId,
    /// The nodes, by rank.
    pub nodes: Vec<NodeSpec>,
    /// In what environment the cases are executed that bring no container of their own.
    #[serde(default)]
    pub environment: Environment,
    /// What is recorded meanwhile.
    pub monitor: MonitorSpec,
    /// How long a built-in case measures, in seconds; absent in records of programs that did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// The port at which the ranks of a case that spans its nodes meet, if the user chose it; otherwise
    /// every attempt takes one that is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master_port: Option<u16>,
    /// The cases and rounds, in the order they run.
    pub cases: Vec<PlannedCase>,
}

/// What the monitors do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MonitorSpec {
    /// Time from one sample to the next, in nanoseconds.
    pub interval_ns: u64,
    /// The vendor whose chips are sampled, if one was named; otherwise those that are found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
}

/// One round of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedCase {
    /// The case.
    pub spec: CaseSpec,
    /// Which round, from 1.
    pub round: u32,
    /// How many rounds there are in all.
    pub rounds: u32,
    /// Values of its parameters, defaults filled in.
    pub params: BTreeMap<String, ParamValue>,
    /// The bounds on it.
    pub limits: Limits,
    /// How long it is expected to take, in seconds, where that is known.
    pub expected_s: Option<f64>,
    /// What is missing, if the machine cannot run it; it is then reported and not started.
    pub unsupported: Option<String>,
    /// Why it cannot be run on these nodes although each of them could, if so: a node that it needs is
    /// missing. It is then reported and not started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// Nodes on which it is not run because they lack what it needs, and what that is; on the others it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<(NodeName, String)>,
    /// The directory of the case on the controller, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The container that it runs in; absent for the plan's own environment. Rounds that follow each other and have
    /// the same share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Box<ContainerPlan>>,
    /// Commands that make each of its nodes ready before its processes start, in their order. In a container they run
    /// in it. One that went well is not run again for a later round in the same place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<SetupCommand>,
    /// True if the page cache of each of its nodes is dropped before its processes start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drop_caches: bool,
    /// True if the user asked for this case by name.
    pub named: bool,
    /// What whoever reads its result should know of how it measures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Remark>,
    /// What runs on each node.
    pub tasks: Vec<NodeTask>,
}

impl PlannedCase {
    /// The case's name.
    pub fn name(&self) -> &CaseName {
        &self.spec.name
    }

    /// True if its processes are to be started: nothing is known that stands against it.
    pub fn runs(&self) -> bool {
        self.unsupported.is_none() && self.skipped.is_none()
    }
}

/// The bounds on a case.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// It is ended when it has run this long, in seconds.
    pub timeout_s: f64,
    /// It is ended when it neither wrote output nor used a processor for this long, in seconds.
    pub stall_s: f64,
    /// Time between the request to end (SIGTERM) and the order (SIGKILL), in seconds.
    pub grace_s: f64,
}

/// Stands for the path of this program on the node, as the program of a [`ProcessSpec`].
pub const OWN_PROGRAM: &str = "{flagperf}";

/// The process tree that runs a case on one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeTask {
    /// The node.
    pub node: NodeName,
    /// Its place in the list of nodes.
    pub node_rank: u32,
    /// Where the task's files go, relative to the run directory.
    pub directory: String,
    /// Name of the file in that directory that receives the output of every rank that has none in
    /// `rank_logs`.
    pub log: String,
    /// Files in that directory for the output of single ranks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rank_logs: BTreeMap<u32, String>,
    /// The processes, one a rank.
    pub processes: Vec<ProcessSpec>,
    /// The directory on the controller that the processes run in, if they need one. A node that is not
    /// this machine gets a copy of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_directory: Option<String>,
    /// If present, every node, this machine too, gets a private copy of `case_directory` that differs
    /// from it so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<PrivateCopy>,
}

/// One process, exactly as it will be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessSpec {
    /// Its rank: in the whole case if that spans its nodes, else on its node.
    pub rank: u32,
    /// The argument vector; the first element is the program, or [`OWN_PROGRAM`]. [`crate::COPY`] and
    /// [`crate::OUT`] in it become paths on the node where the task has a private copy.
    pub argv: Vec<String>,
    /// Variables set on top of the agent's environment. [`crate::COPY`] and [`crate::OUT`] in their values
    /// become paths on the node. What looks secret is recorded as `***`.
    #[serde(serialize_with = "crate::secret::variables")]
    pub env: BTreeMap<String, String>,
    /// The working directory; a relative path stands in the copy of the task's `case_directory` on the
    /// node. Absent means that copy itself, or the agent's own directory where there is none.
    pub cwd: Option<String>,
    /// The cores it is pinned to; empty means not pinned.
    pub cpus: Vec<u32>,
}
