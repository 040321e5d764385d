//! The words of FlagPerf as types: what a case, a plan, an event, a sample and an outcome are.
//!
//! Everything here is plain data. Nothing reads a file, asks the clock, prints, or waits; the
//! crates around it do that and speak to each other in these types. `docs/glossary.md` gives the
//! meaning of each word.

#![forbid(unsafe_code)]

mod case;
mod chips;
mod container;
mod event;
mod facts;
mod fold;
mod group;
mod ids;
mod measurement;
mod node;
mod outcome;
mod plan;
mod record;
mod run;
mod secret;
mod series;
mod spread;
mod time;
mod tree;
mod unit;

pub use case::{
    Better, CaseSpec, Entry, Feature, MetricDecl, NodeScope, ParamDecl, ParamKind, ParamValue,
    RankLayout, Suite,
};
pub use chips::{ChipFacts, ChipWatch, FIELDS, INTERVAL_MS, StatusTool};
pub use container::{
    BuildPolicy, ContainerOptions, ContainerPlan, EngineKind, ImageBuild, ImageSource, Mount,
    SetupCommand, StepKind, StepOutcome, StepRecord,
};
pub use event::{Event, EventKind, Phase};
pub use facts::{CacheFacts, CgroupFacts, CpuFacts, MachineFacts, MemoryFacts, NumaNode};
pub use fold::fold;
pub use group::Group;
pub use ids::{CaseName, MetricName, NameError, NodeName, RunId};
pub use measurement::{Measurement, Verification, Window};
pub use node::{BadNode, ClockOffset, Environment, Launcher, NodeSpec, ProgramSource, SshTarget};
pub use outcome::{Cause, Outcome, Stage};
pub use plan::{Limits, MonitorSpec, NodeTask, OWN_PROGRAM, Plan, PlannedCase, ProcessSpec};
pub use record::{CaseRecord, RECORD_PREFIX, RESULT_PREFIX};
pub use run::{CaseResult, MonitorCost, NodeRecord, RUN_SCHEMA, RunRecord, RunState, StartSkew};
pub use secret::{CONCEALED, concealed, concealed_words, is_secret};
pub use series::{Absent, SampleBlock, Scope, SeriesDecl, SeriesKind};
pub use spread::{Spread, median};
pub use time::Timestamp;
pub use tree::{
    COPY, OUT, PrivateCopy, Remark, RemarkKind, StartProgram, TreeCase, TreeFiles, TreeProgram,
};
pub use unit::Unit;
