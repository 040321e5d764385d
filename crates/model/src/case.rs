//! What a case is: its name, how it is started, what it needs, what it reports.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CaseName, MetricName, TreeCase, Unit};

/// A kind of case with its own contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Suite {
    /// Properties of the chip itself: arithmetic rate, memory, interconnects.
    Base,
    /// Single operators.
    Operation,
    /// Inference with whole models.
    Inference,
    /// Training of whole models.
    Training,
}

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// More is better: rates, bandwidths, capacities.
    Higher,
    /// Less is better: times, energies.
    Lower,
    /// Neither; the number describes.
    Neither,
}

/// A metric that a case declares before it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricDecl {
    /// Its name.
    pub name: MetricName,
    /// Its unit.
    pub unit: Unit,
    /// Which way it is better.
    pub better: Better,
    /// What exactly is counted, in one sentence.
    pub definition: String,
    /// True for the one metric that stands for the case in a table of one line a case.
    #[serde(default)]
    pub primary: bool,
}

/// How many ranks a case has on a node, and which cores each is pinned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RankLayout {
    /// One rank with every core that this process may use.
    Node,
    /// One rank for each NUMA node, with the cores of that node.
    Numa,
    /// Two ranks, one core each.
    Pair,
    /// One rank for each physical core.
    Core,
}

/// Whether a case measures each node, or the nodes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodeScope {
    /// Every node by itself.
    #[default]
    Each,
    /// All nodes together: one task spans them, and its ranks meet over the network.
    All,
}

/// A processor feature, named as `/proc/cpuinfo` names it (`avx512_vnni`).
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Feature(pub String);

/// How a case is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Entry {
    /// A measurement built into the program, by the name its `case` command knows.
    Kernel(String),
    /// An argument vector, run in the case's directory. `{param.NAME}` becomes a parameter's value.
    Argv(Vec<String>),
    /// A case of a FlagPerf tree, by the contract of its suite.
    Tree(Box<TreeCase>),
}

/// The type and range of a parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ParamKind {
    /// A whole number, both ends included.
    Integer {
        /// Smallest value accepted.
        min: i64,
        /// Largest value accepted.
        max: i64,
    },
    /// A size in bytes; accepts `64MiB`, `2GB` and the like. Both ends included.
    Size {
        /// Smallest value accepted, in bytes.
        min: i64,
        /// Largest value accepted, in bytes.
        max: i64,
    },
    /// One of a list of words.
    Choice(Vec<String>),
    /// Any text.
    Text,
}

/// A parameter that a case accepts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParamDecl {
    /// Its type and range.
    pub kind: ParamKind,
    /// Value when none is given; absent means the case decides from the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<ParamValue>,
    /// One line of help.
    pub help: String,
}

/// A parameter's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ParamValue {
    /// A whole number, or a size in bytes.
    Integer(i64),
    /// Text.
    Text(String),
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Text(text) => f.pad(text),
        }
    }
}

/// One case of a case library.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CaseSpec {
    /// Its name.
    pub name: CaseName,
    /// Its suite.
    pub suite: Suite,
    /// What it measures, in one line.
    pub summary: String,
    /// How it is started.
    pub entry: Entry,
    /// Its ranks on each node.
    pub ranks: RankLayout,
    /// Whether it measures each node, or the nodes together.
    #[serde(default)]
    pub nodes: NodeScope,
    /// Sets of processor features, best first; it can run where one whole set is present.
    /// Empty means it runs everywhere.
    pub needs_any: Vec<Vec<Feature>>,
    /// The metrics it reports. Empty for a case that declares none; its results are taken as they come.
    pub metrics: Vec<MetricDecl>,
    /// The parameters it accepts, by name.
    pub params: BTreeMap<String, ParamDecl>,
}
