//! What happens in a run, as one stream that every consumer sees.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::container::{first_group, is_first_group};
use crate::{
    BadNode, CaseName, ClockOffset, Environment, MachineFacts, Measurement, MetricName,
    MonitorCost, NodeName, Outcome, RunId, StartSkew, StepKind, StepOutcome, Timestamp, Unit,
};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: EventKind,
}

/// The phases of a case's life that it reports itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Allocating and filling.
    Prepare,
    /// Running unmeasured until caches, pages and clocks are steady.
    Warmup,
    /// Measuring.
    Measure,
    /// Checking the result.
    Verify,
    /// Done.
    End,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The run began.
    RunStarted {
        /// Its name.
        run: RunId,
        /// The program's version.
        version: String,
        /// Where its record lies.
        directory: String,
        /// How many rounds of cases there are.
        cases: u32,
        /// In what environment those are executed that bring no container of their own.
        #[serde(default)]
        environment: Environment,
        /// How that was decided, in words, where the environment of the program had a say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        environment_reason: Option<String>,
    },
    /// The run was taken up again.
    RunResumed {
        /// The program's version.
        version: String,
        /// How many rounds of cases had passed before.
        passed: u32,
        /// How many are run now.
        cases: u32,
    },
    /// A node's agent answered.
    NodeReady {
        /// The node.
        node: NodeName,
        /// What it is.
        facts: Box<MachineFacts>,
        /// Its clock against the controller's.
        #[serde(default)]
        clock: ClockOffset,
        /// True if it is the controller's own machine, reached without a connection.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        here: bool,
    },
    /// A node cannot take part.
    NodeBad(BadNode),
    /// A node has said nothing for some time; it may come back.
    NodeSilent {
        /// The node.
        node: NodeName,
        /// For how long, in seconds.
        seconds: f64,
    },
    /// A node that was silent has spoken again.
    NodeBack {
        /// The node.
        node: NodeName,
    },
    /// A node is gone.
    NodeLost {
        /// The node.
        node: NodeName,
        /// What is known.
        reason: String,
    },
    /// A step on the way to cases began on all nodes.
    StepStarted {
        /// Which.
        step: StepKind,
        /// For which group of rounds with the same container, from 1.
        #[serde(default = "first_group", skip_serializing_if = "is_first_group")]
        group: u32,
    },
    /// Such a step ended on a node.
    StepEnded {
        /// Which.
        step: StepKind,
        /// For which group of rounds with the same container, from 1.
        #[serde(default = "first_group", skip_serializing_if = "is_first_group")]
        group: u32,
        /// The node.
        node: NodeName,
        /// How.
        outcome: StepOutcome,
        /// How long it took, in seconds.
        seconds: f64,
        /// True if something was printed, which is in the step's log.
        #[serde(default)]
        printed: bool,
    },
    /// A round of a case began.
    CaseStarted {
        /// The case.
        case: CaseName,
        /// Which round, from 1.
        round: u32,
        /// Its place among all rounds of all cases, from 1.
        index: u32,
        /// How long it is expected to take, in seconds.
        expected_s: Option<f64>,
    },
    /// The processes of a task have been started on all its nodes.
    TaskStarted {
        /// The case.
        case: CaseName,
        /// Which round.
        round: u32,
        /// How far apart.
        skew: StartSkew,
    },
    /// A rank entered a phase.
    Phase {
        /// The case.
        case: CaseName,
        /// The node.
        node: NodeName,
        /// The rank.
        rank: u32,
        /// The phase.
        phase: Phase,
    },
    /// A value so far. Not recorded; for people who watch.
    Live {
        /// The case.
        case: CaseName,
        /// The node.
        node: NodeName,
        /// The rank.
        rank: u32,
        /// The metric.
        metric: MetricName,
        /// Its value so far.
        value: f64,
        /// Its unit.
        unit: Unit,
        /// Seconds of measurement still to come.
        remaining_s: f64,
    },
    /// A fact that a case noted.
    Note {
        /// The case.
        case: CaseName,
        /// The node.
        node: NodeName,
        /// The rank.
        rank: u32,
        /// What it is about.
        key: String,
        /// The fact.
        value: String,
    },
    /// A final number.
    Measured {
        /// The case.
        case: CaseName,
        /// Which round.
        round: u32,
        /// The node.
        node: NodeName,
        /// The number.
        measurement: Box<Measurement>,
    },
    /// The monitors of a node stopped.
    MonitorStopped {
        /// The case.
        case: CaseName,
        /// The node.
        node: NodeName,
        /// What they cost.
        cost: MonitorCost,
    },
    /// Files that a case had left on a node were fetched.
    Collected {
        /// The case.
        case: CaseName,
        /// The node.
        node: NodeName,
        /// How many files.
        files: u64,
        /// Their size in bytes.
        bytes: u64,
    },
    /// A round of a case ended.
    CaseEnded {
        /// The case.
        case: CaseName,
        /// Which round.
        round: u32,
        /// How.
        outcome: Outcome,
        /// Seconds from its start to its end.
        seconds: f64,
        /// The last lines of its output, if it failed.
        tail: Vec<String>,
    },
    /// Processes were found that the task had left behind, and were ended.
    StrayProcesses {
        /// The case.
        case: CaseName,
        /// The node.
        node: NodeName,
        /// Their command names.
        commands: Vec<String>,
    },
    /// Something is not as it should be, but the run goes on.
    Warning {
        /// In words.
        message: String,
    },
    /// The user asked to stop.
    Interrupted {
        /// How many times so far.
        count: u32,
    },
    /// The run ended.
    RunEnded {
        /// How many cases passed.
        passed: u32,
        /// How many failed in whatever way, or never had their turn.
        failed: u32,
        /// How many were not started because a node that they need was missing. They make a run fail as well.
        #[serde(default)]
        skipped: u32,
        /// How many this machine cannot run.
        unsupported: u32,
        /// Seconds from the run's start to its end.
        seconds: f64,
    },
}
