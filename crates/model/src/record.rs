//! What a running case tells the harness: lines of JSON behind a fixed prefix on standard output.
//!
//! Any program in any language can print them. Lines behind [`RESULT_PREFIX`] are FlagPerf's classic
//! result lines. A case that prints neither a measurement nor a result line, or only lines whose number is
//! missing, has failed, whatever its exit status: nothing was measured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Measurement, MetricName, Phase, Unit};

/// Stands at the start of a line that carries one [`CaseRecord`] as JSON.
pub const RECORD_PREFIX: &str = "[FlagPerf Record]";

/// Stands at the start of a classic result line.
pub const RESULT_PREFIX: &str = "[FlagPerf Result]";

/// One message from a case. `mono_ns` is the node's `CLOCK_MONOTONIC` in nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CaseRecord {
    /// The case enters a phase. Monitor statistics are taken from `Measure` to the phase after it.
    Phase {
        /// The rank that says so.
        rank: u32,
        /// The phase that begins now.
        phase: Phase,
        /// When.
        mono_ns: u64,
    },
    /// The value so far, for people who watch.
    Live {
        /// The rank that says so.
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
    /// A final number.
    Measurement(Box<Measurement>),
    /// This processor cannot do what the case measures.
    Unsupported {
        /// The missing feature.
        feature: String,
    },
    /// The case knows why it fails.
    Failure {
        /// The rank that says so.
        rank: u32,
        /// Why.
        message: String,
    },
    /// A fact worth keeping with the result, such as the code path taken.
    Note {
        /// The rank that says so.
        rank: u32,
        /// What it is about: `isa`, `threads`, `pages`.
        key: String,
        /// The fact.
        value: String,
    },
}
