//! A number that a case reports, with its meaning.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Better, MetricName, Spread, Timestamp, Unit};

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// First moment.
    pub begin: Timestamp,
    /// Last moment.
    pub end: Timestamp,
}

impl Window {
    /// Its length in seconds.
    pub fn seconds(&self) -> f64 {
        self.end.seconds_since(self.begin)
    }
}

/// Whether the result of the measured work was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verification {
    /// Checked and right; the text says against what.
    Checked(String),
    /// Not checked; the text says why.
    Unchecked(String),
}

/// One number that a case reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measurement {
    /// What it is called.
    pub metric: MetricName,
    /// What the case called it, where that is something else: cases of other people give some numbers
    /// the name of another case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub printed: Option<String>,
    /// The value: the median where there are repetitions.
    pub value: f64,
    /// Its unit.
    pub unit: Unit,
    /// Which way it is better.
    pub better: Better,
    /// What was counted.
    pub definition: String,
    /// The rank it comes from; absent for a number of the whole node.
    pub rank: Option<u32>,
    /// The device measured, such as `numa0` or `cpu0+cpu1`.
    pub device: Option<String>,
    /// Distribution over the repetitions.
    pub spread: Option<Spread>,
    /// The repetitions themselves, in the order they were taken, in `unit`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repetitions: Vec<f64>,
    /// Whether the measured work was checked.
    pub verification: Verification,
}
