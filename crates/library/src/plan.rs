//! From a request to a plan: every process of every round of every case, before anything happens.

use std::collections::BTreeMap;
use std::fmt;

use flagperf_model::{
    CaseSpec, Entry, Environment, Limits, MachineFacts, MonitorSpec, NodeSpec, ParamValue, Plan,
    PlannedCase, RunId,
};
use flagperf_text::quoted;

use crate::ground::{Ground, present};
use crate::params::{ParamError, parse_params};
use crate::select::SelectProblem;
use crate::threads::check_threads;
use crate::{CaseParams, Library};

/// Time between the request to end and the order, in seconds: enough for a case to write a last
/// line, short enough for a person who waits.
const GRACE_S: f64 = 5.0;

/// A built-in case warms up, measures for `--duration`, and may measure a peak and check its
/// result. Six durations, and `SETUP_S` for filling its arrays, are a bound against hanging and no
/// estimate.
const DURATIONS: f64 = 6.0;

/// See [`DURATIONS`]; in seconds.
const SETUP_S: f64 = 120.0;

/// Default bound on a program of the user's own, in seconds: an hour.
const PROGRAM_TIMEOUT_S: f64 = 3600.0;

/// Default bound on silence without processor use, in seconds.
const STALL_S: f64 = 60.0;

/// What a built-in case needs beside its measurement where nothing special slows it, in seconds.
const OVERHEAD_S: f64 = 2.0;

/// A machine that hands out fresh memory more slowly than this, in bytes per second, is taken to
/// hang. Clearing pages runs at 10^9 bytes per second and more; a quarter of that allows for a
/// hypervisor that has to find the memory first.
const SLOWEST_TOUCH: f64 = 2.5e8;

/// The kernel that measures every pair of nodes, in about as many rounds as there are nodes.
const PAIRS: &str = "p2p-tcp";

/// What a round takes at least, in seconds, however short the duration is: 0.2 s of measuring, and
/// the connecting and warming up.
const LEAST_ROUND_S: f64 = 0.3;

/// What a round may take, in seconds, before it is taken to hang: one with a slow link takes longer,
/// since each pair has at least three repetitions.
const SLOWEST_ROUND_S: f64 = 4.0;

/// What the user wants to run, and where.
#[derive(Debug, Clone)]
pub struct PlanRequest<'a> {
    /// The run's name.
    pub run: RunId,
    /// The cases that there are.
    pub library: &'a Library,
    /// The cases wanted; none means all.
    pub names: &'a [String],
    /// Parameters, each `NAME=VALUE`.
    pub params: &'a [String],
    /// How often each case runs, at least once.
    pub rounds: u32,
    /// How long a built-in case measures, in seconds.
    pub duration_s: f64,
    /// The bound on each case in seconds; absent for the default of its kind.
    pub timeout_s: Option<f64>,
    /// The bound on silence without processor use in seconds; absent for 60.
    pub stall_s: Option<f64>,
    /// Time from one sample of the monitors to the next, in nanoseconds.
    pub interval_ns: u64,
    /// The nodes in the order of their ranks.
    pub nodes: &'a [PlanNode],
    /// In what environment the cases are executed.
    pub environment: Environment,
    /// Host name or address and port at which the ranks of a case that spans its nodes meet; on the
    /// first node.
    pub master: (&'a str, u16),
}

/// A node to plan for.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanNode {
    /// The node.
    pub spec: NodeSpec,
    /// What it is; absent if it did not come up.
    pub facts: Option<MachineFacts>,
}

impl PlanRequest<'_> {
    /// The nodes that are there: place in the list, node, facts.
    pub(crate) fn present(&self) -> impl Iterator<Item = (usize, &NodeSpec, &MachineFacts)> {
        present(self.nodes)
    }
}

/// One reason why there is no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A name that means no case.
    #[error(transparent)]
    Select(SelectProblem),
    /// A parameter that is wrong.
    #[error(transparent)]
    Param(ParamError),
    /// A parameter that a case's command line needs has no value.
    #[error("the case `{case}` needs a value for its {what} {}", quoted(.params.iter().map(String::as_str)))]
    Missing {
        /// The case.
        case: String,
        /// `parameter` or `parameters`.
        what: &'static str,
        /// The parameters.
        params: Vec<String>,
    },
    /// A number that makes no sense.
    #[error("{what} is {value}; expected {expected}")]
    Number {
        /// Which.
        what: &'static str,
        /// Its value.
        value: String,
        /// What was expected.
        expected: &'static str,
    },
    /// There is no node.
    #[error("there is no node to run on")]
    NoNodes,
}

/// Every reason why there is no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub struct PlanErrors(
    /// At least one.
    pub Vec<PlanError>,
);

impl fmt::Display for PlanErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::select::lines(f, &self.0)
    }
}

/// Resolves a request into a plan. The same request always gives the same plan.
///
/// # Errors
///
/// Everything that is wrong with the request, at once. A case that a machine cannot run is no
/// error: the plan says so.
pub fn plan(request: &PlanRequest<'_>) -> Result<Plan, PlanErrors> {
    let mut errors = check_numbers(request);
    let mut cases = Vec::new();
    match request.library.select(request.names) {
        Err(error) => errors.extend(error.0.into_iter().map(PlanError::Select)),
        Ok(specs) => match parse_params(request.params, &specs) {
            Err(error) => errors.extend(error.0.into_iter().map(PlanError::Param)),
            Ok(params) => {
                errors.extend(specs.iter().filter_map(|spec| missing(spec, &params)));
                errors.extend(check_threads(request, &specs, &params));
                let ground = Ground {
                    run: &request.run,
                    nodes: request.nodes,
                    duration_s: request.duration_s,
                    master: request.master,
                };
                for spec in specs {
                    let values = params.get(&spec.name).cloned().unwrap_or_default();
                    for round in 1..=request.rounds {
                        cases.push(planned(request, &ground, spec, &values, round));
                    }
                }
            }
        },
    }
    if errors.is_empty() {
        Ok(Plan {
            run: request.run.clone(),
            nodes: request.nodes.iter().map(|node| node.spec.clone()).collect(),
            environment: request.environment.clone(),
            monitor: MonitorSpec {
                interval_ns: request.interval_ns,
            },
            duration_s: Some(request.duration_s),
            master_port: None,
            cases,
        })
    } else {
        Err(PlanErrors(errors))
    }
}

fn check_numbers(request: &PlanRequest<'_>) -> Vec<PlanError> {
    let mut errors = Vec::new();
    let mut check = |fine: bool, what, value: String, expected| {
        if !fine {
            errors.push(PlanError::Number {
                what,
                value,
                expected,
            });
        }
    };
    let seconds = "more than 0 seconds";
    let positive = |value: f64| value.is_finite() && value > 0.0;
    let duration = request.duration_s;
    check(
        positive(duration),
        "the duration",
        duration.to_string(),
        seconds,
    );
    for (what, value) in [
        ("the timeout", request.timeout_s),
        ("the stall limit", request.stall_s),
    ] {
        if let Some(value) = value {
            check(positive(value), what, value.to_string(), seconds);
        }
    }
    check(
        request.rounds > 0,
        "the number of rounds",
        request.rounds.to_string(),
        "at least 1",
    );
    check(
        request.interval_ns >= 10_000_000,
        "the interval of the monitors",
        format!("{} ns", request.interval_ns),
        "at least 10 ms",
    );
    if request.present().next().is_none() {
        errors.push(PlanError::NoNodes);
    }
    errors
}

/// The parameters that the case's argument vector names and that have no value.
fn missing(spec: &CaseSpec, params: &CaseParams) -> Option<PlanError> {
    let Entry::Argv(argv) = &spec.entry else {
        return None;
    };
    let values = params.get(&spec.name)?;
    let mut lacking: Vec<String> = argv
        .iter()
        .flat_map(|argument| crate::case_file::placeholders(argument))
        .filter(|name| !values.contains_key(*name))
        .map(str::to_owned)
        .collect();
    lacking.sort();
    lacking.dedup();
    (!lacking.is_empty()).then(|| PlanError::Missing {
        case: spec.name.to_string(),
        what: if lacking.len() == 1 {
            "parameter"
        } else {
            "parameters"
        },
        params: lacking,
    })
}

fn planned(
    request: &PlanRequest<'_>,
    ground: &Ground<'_>,
    spec: &CaseSpec,
    params: &BTreeMap<String, ParamValue>,
    round: u32,
) -> PlannedCase {
    let directory = request.library.directory(spec.name.as_str());
    let mut case = PlannedCase {
        limits: limits(request, spec),
        expected_s: expected(request, spec),
        tasks: Vec::new(),
        spec: spec.clone(),
        round,
        rounds: request.rounds,
        params: params.clone(),
        unsupported: None,
        skipped: None,
        left_out: Vec::new(),
        directory: directory.map(|path| path.to_string_lossy().into_owned()),
        named: !request.names.is_empty(),
        container: None,
        setup: Vec::new(),
        drop_caches: false,
        remarks: Vec::new(),
    };
    ground.place(&mut case);
    case
}

fn limits(request: &PlanRequest<'_>, spec: &CaseSpec) -> Limits {
    let default = match &spec.entry {
        Entry::Argv(_) | Entry::Tree(_) => PROGRAM_TIMEOUT_S,
        Entry::Kernel(kernel) => {
            let measuring = request.duration_s * DURATIONS + SETUP_S;
            if kernel == "memory-capacity" {
                let largest = request.present().map(|(_, _, facts)| facts.memory.total);
                measuring + largest.max().unwrap_or(0) as f64 / SLOWEST_TOUCH
            } else if kernel == PAIRS {
                measuring + request.nodes.len() as f64 * SLOWEST_ROUND_S
            } else {
                measuring
            }
        }
    };
    Limits {
        timeout_s: request.timeout_s.unwrap_or(default),
        stall_s: request.stall_s.unwrap_or(STALL_S),
        grace_s: GRACE_S,
    }
}

/// How long a program of the user's own takes is its own affair, and how long filling the memory
/// takes depends on how fast the machine hands it out; both are unknown rather than guessed.
fn expected(request: &PlanRequest<'_>, spec: &CaseSpec) -> Option<f64> {
    match &spec.entry {
        Entry::Kernel(kernel) if kernel == PAIRS => {
            let rounds = request.nodes.len() as f64;
            Some(request.duration_s.max(rounds * LEAST_ROUND_S) + OVERHEAD_S)
        }
        Entry::Kernel(kernel) if kernel != "memory-capacity" => {
            Some(request.duration_s + OVERHEAD_S)
        }
        Entry::Kernel(_) | Entry::Argv(_) | Entry::Tree(_) => None,
    }
}
