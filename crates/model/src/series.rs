//! Time series that monitors record next to a task.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Timestamp, Unit};

/// Whose figure a series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The whole machine, other people's work included.
    Machine,
    /// The control group of the agent: what a container or pod sees of itself.
    Cgroup,
    /// The monitor's own cost.
    Monitor,
    /// One accelerator chip, other people's work on it included.
    Chip,
}

/// How values of a series follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SeriesKind {
    /// A state at a moment: a temperature, bytes in use.
    Gauge,
    /// A total since some start that only grows; rates are differences divided by time.
    Counter,
}

/// What a series is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SeriesDecl {
    /// Its name, `family.quantity`: `cpu.busy`, `memory.used`, `disk.read`.
    pub name: String,
    /// Which of several: `cpu0`, `eth0`, `package-0`; absent for a total.
    pub instance: Option<String>,
    /// The unit of a value after `resolution` is applied.
    pub unit: Unit,
    /// Gauge or counter.
    pub kind: SeriesKind,
    /// Whose figure it is.
    pub scope: Scope,
    /// What one count of the stored whole number is worth, in `unit`.
    pub resolution: f64,
}

/// A series that the machine does not have or does not show, and why. Absent is not zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Absent {
    /// The series' name.
    pub name: String,
    /// Why there is none: `no RAPL in this machine`, `permission denied: …`.
    pub reason: String,
}

/// Samples of a fixed set of series at successive moments. Stored values are whole numbers of a
/// series' `resolution`; `None` is a gap.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SampleBlock {
    /// The moments, rising.
    pub times: Vec<Timestamp>,
    /// One column for each declared series, each as long as `times`.
    pub columns: Vec<Vec<Option<i64>>>,
}
