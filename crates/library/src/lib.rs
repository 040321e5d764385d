//! Case libraries: where cases come from, how a request becomes a plan, and how what a case
//! prints becomes measurements.
//!
//! The only things read are the directories of cases and trees that a caller names; nothing is started, awaited
//! or printed, and the environment is not looked at. How a plan is carried out is the engine's
//! business.

#![forbid(unsafe_code)]

mod case_file;
mod catalogue;
mod classic;
mod collector;
mod declared;
mod ground;
mod layout;
mod lines;
mod param_decl;
mod params;
mod plan;
mod process;
mod results;
mod select;
mod size;
mod sound;
mod summary;
mod threads;
mod tree;

pub use catalogue::{Library, LibraryError, LibraryErrors, parse_case};
pub use classic::{ClassicResult, parse_result_line};
pub use collector::{Collected, Collector, parse_record};
pub use ground::{ReplanError, replan};
pub use params::{CaseParams, ParamError, ParamErrors, parse_params};
pub use plan::{PlanError, PlanErrors, PlanNode, PlanRequest, plan};
pub use results::{BaseProgram, Dialect, Peaks, TrainingStyle};
pub use select::{SelectError, SelectProblem};
pub use size::{SizeError, format_size, parse_size};
pub use summary::Summary;
pub use tree::{
    Adaptation, Configuration, FindError, SuiteTree, TreeCatalogue, TreeEntry, TreeErrors,
    TreeImage, TreeKind, TreeProblem, TreeRequest, TreeSettings, WantedCase, find_suite,
    find_suites, image_of, name_matches, resolve_cases, script_name,
};
