//! The record of a run: the content of `run.json`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Absent, BadNode, CaseName, ClockOffset, MachineFacts, Measurement, NodeName, Outcome, Plan,
    RunId, SeriesDecl, StepRecord, Timestamp, Window,
};

/// Name and version of the format of [`RunRecord`]. A reader refuses a newer major version.
pub const RUN_SCHEMA: &str = "flagperf.run/1";

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// It is running, or was cut off while it ran.
    Running,
    /// It came to its end.
    Finished,
    /// The user stopped it.
    Interrupted,
}

/// Everything about a run but its output and samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// [`RUN_SCHEMA`].
    pub schema: String,
    /// The run's name.
    pub run: RunId,
    /// Version of the program that wrote it.
    pub version: String,
    /// The command line that started it.
    pub command: Vec<String>,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How far it came.
    pub state: RunState,
    /// What it set out to do.
    pub plan: Plan,
    /// The nodes, in the order of their ranks.
    pub nodes: Vec<NodeRecord>,
    /// The rounds of cases that ended, in order.
    pub results: Vec<CaseResult>,
    /// What went wrong beside the cases: a full disk, a monitor that failed.
    pub warnings: Vec<String>,
}

impl RunRecord {
    /// The places in the plan of the rounds that have not passed. A round that the plan says cannot
    /// run on these nodes is done as soon as that has been recorded.
    pub fn remaining(&self) -> Vec<usize> {
        let cases = self.plan.cases.iter().enumerate();
        cases
            .filter(|(_, planned)| {
                !self.results.iter().any(|result| {
                    result.case == *planned.name()
                        && result.round == planned.round
                        && (result.outcome == Outcome::Passed || planned.unsupported.is_some())
                })
            })
            .map(|(place, _)| place)
            .collect()
    }
}

/// What is known of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeRecord {
    /// Its name.
    pub name: NodeName,
    /// Its place in the list of nodes.
    pub rank: u32,
    /// What it is; absent if it never answered.
    pub facts: Option<MachineFacts>,
    /// Its clock against the controller's; absent if it never answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockOffset>,
    /// Why it does not take part, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<BadNode>,
    /// What container mode did on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepRecord>,
    /// The series its monitors can record.
    pub series: Vec<SeriesDecl>,
    /// The series of its chips, which are sampled at moments of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chip_series: Vec<SeriesDecl>,
    /// The series it does not have, and why.
    pub absent: Vec<Absent>,
}

/// What the monitors cost while a case ran.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct MonitorCost {
    /// Processor time of the sampling thread, in seconds.
    pub sampler_cpu_s: f64,
    /// Processor time of the whole agent, in seconds; it also forwards the case's output.
    pub agent_cpu_s: f64,
    /// Seconds that the monitors ran.
    pub wall_s: f64,
    /// Samples taken.
    pub samples: u64,
    /// Samples that came more than half an interval late, or not at all.
    pub late: u64,
    /// Processor time of the status tool that reads the chips, in seconds.
    #[serde(default)]
    pub tool_cpu_s: f64,
    /// Samples of the chips.
    #[serde(default)]
    pub chip_samples: u64,
    /// Moments at which a sample of the chips was due and none came.
    #[serde(default)]
    pub chip_gaps: u64,
}

/// How far apart the nodes of a task started its processes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StartSkew {
    /// From the first node's start to the last one's, in seconds.
    pub seconds: f64,
    /// The true skew differs by at most this, in seconds: the sum of the two nodes' clock uncertainties.
    pub uncertainty_s: f64,
    /// The node that was first.
    pub first: NodeName,
    /// The node that was last.
    pub last: NodeName,
}

/// One round of one case on all its nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CaseResult {
    /// The case.
    pub case: CaseName,
    /// Which round, from 1.
    pub round: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// The stretch in which it measured, where it said so.
    pub window: Option<Window>,
    /// Its files on each node, relative to the run directory, in the order of the plan's tasks.
    pub directories: Vec<String>,
    /// What it measured, with the node it was measured on.
    pub measurements: Vec<(NodeName, Measurement)>,
    /// Its classic result lines, with their node, as they were printed.
    pub result_lines: Vec<(NodeName, String)>,
    /// Facts it noted: node, key, value.
    pub notes: Vec<(NodeName, String, String)>,
    /// What its monitors cost on each node.
    pub monitor_cost: Vec<(NodeName, MonitorCost)>,
    /// The last lines of its output, if it did not pass.
    pub tail: Vec<String>,
    /// How far apart its nodes started, where it had several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_skew: Option<StartSkew>,
    /// Files that it left and that were fetched: node, number, bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collected: Vec<(NodeName, u64, u64)>,
}
