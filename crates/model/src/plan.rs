//! The fully resolved list of what a run will do, printable before anything happens.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CaseName, CaseSpec, NodeName, ParamValue, RunId};

/// Everything a run will do, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The run's name.
    pub run: RunId,
    /// The nodes, by rank.
    pub nodes: Vec<NodeName>,
    /// What is recorded meanwhile.
    pub monitor: MonitorSpec,
    /// The cases and rounds, in the order they run.
    pub cases: Vec<PlannedCase>,
}

/// What the monitors do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MonitorSpec {
    /// Time from one sample to the next, in nanoseconds.
    pub interval_ns: u64,
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
    /// True if the user asked for this case by name.
    pub named: bool,
    /// What runs on each node.
    pub tasks: Vec<NodeTask>,
}

impl PlannedCase {
    /// The case's name.
    pub fn name(&self) -> &CaseName {
        &self.spec.name
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

/// The process tree that runs a case on one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeTask {
    /// The node.
    pub node: NodeName,
    /// Its place in the list of nodes.
    pub node_rank: u32,
    /// Where the task's files go, relative to the run directory.
    pub directory: String,
    /// Name of the file in that directory that receives the output.
    pub log: String,
    /// The processes, one a rank.
    pub processes: Vec<ProcessSpec>,
}

/// One process, exactly as it will be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessSpec {
    /// Its rank in the whole case.
    pub rank: u32,
    /// The argument vector; the first element is the program.
    pub argv: Vec<String>,
    /// Variables set on top of the agent's environment.
    pub env: BTreeMap<String, String>,
    /// The working directory; absent means the agent's.
    pub cwd: Option<String>,
    /// The cores it is pinned to; empty means not pinned.
    pub cpus: Vec<u32>,
}
