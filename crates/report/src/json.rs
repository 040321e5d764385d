//! The report as JSON, for programs: a stable shape with a versioned name.
//!
//! The types here are the format; they are apart from the domain's so that a change there does not
//! change what readers get. Moments are RFC 3339 in UTC. A field that is unknown is `null` or
//! left out, never 0.

use flagperf_model::{
    Absent, Better, CaseName, CaseResult, MachineFacts, Measurement, MonitorCost, NodeName,
    Outcome, ParamValue, Scope, SeriesKind, Spread, Stage, StepKind, StepOutcome, StepRecord,
    Suite, Verification, Window,
};
use serde::Serialize;

use crate::number::rfc3339;
use crate::{RunData, Series, rate_unit, window_stats};

/// Name and version of the format that [`json`] writes. The number grows when a field is removed
/// or changes its meaning, not when one is added.
pub const REPORT_SCHEMA: &str = "flagperf.report/1";

/// Writes the whole report but the samples: results, statistics of every monitor series over the
/// measured window, facts of the nodes, and how the run was made.
pub fn json(run: &RunData) -> String {
    // Only a map with keys that are not text could fail, and there is none.
    serde_json::to_string_pretty(&Report::of(run)).unwrap_or_default()
}

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    run: &'a str,
    version: &'a str,
    command: &'a [String],
    started: String,
    ended: Option<String>,
    state: flagperf_model::RunState,
    monitor_interval_s: f64,
    warnings: &'a [String],
    missing: &'a [String],
    nodes: Vec<Node<'a>>,
    results: Vec<CaseReport<'a>>,
}

#[derive(Serialize)]
struct Node<'a> {
    name: &'a str,
    rank: u32,
    facts: Option<&'a MachineFacts>,
    absent_series: &'a [Absent],
    steps: Vec<Taken<'a>>,
}

/// What was done on the way to cases.
#[derive(Serialize)]
struct Taken<'a> {
    step: StepKind,
    group: u32,
    /// Absent for a step of container mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    case: Option<&'a str>,
    seconds: f64,
    done: bool,
    /// What was done, or why it failed.
    words: &'a str,
    log: Option<&'a str>,
}

impl<'a> Taken<'a> {
    fn of(record: &'a StepRecord) -> Self {
        let (done, words) = match &record.outcome {
            StepOutcome::Done { what } => (true, what),
            StepOutcome::Failed { reason, .. } => (false, reason),
        };
        Self {
            step: record.step,
            group: record.group,
            case: record.case.as_ref().map(CaseName::as_str),
            seconds: record.seconds,
            done,
            words,
            log: record.log.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct CaseReport<'a> {
    case: &'a str,
    suite: Option<Suite>,
    summary: Option<&'a str>,
    round: u32,
    outcome: &'static str,
    /// Absent for a case that passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<Stage>,
    started: String,
    ended: String,
    seconds: f64,
    window: Option<WindowReport>,
    parameters: Vec<Parameter<'a>>,
    limits: Option<flagperf_model::Limits>,
    measurements: Vec<MeasurementReport<'a>>,
    notes: Vec<Note<'a>>,
    result_lines: Vec<Line<'a>>,
    monitors: Vec<Monitor<'a>>,
    tail: &'a [String],
    directories: &'a [String],
}

#[derive(Serialize)]
struct WindowReport {
    begin: String,
    end: String,
    seconds: f64,
}

#[derive(Serialize)]
struct Parameter<'a> {
    name: &'a str,
    value: String,
}

#[derive(Serialize)]
struct MeasurementReport<'a> {
    metric: &'a str,
    /// What the case called it, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    printed: Option<&'a str>,
    value: f64,
    unit: &'a str,
    better: &'static str,
    definition: &'a str,
    node: &'a str,
    rank: Option<u32>,
    device: Option<&'a str>,
    spread: Option<Spread>,
    repetitions: &'a [f64],
    verified: bool,
    /// Against what it was checked, or why it was not.
    verification: &'a str,
}

#[derive(Serialize)]
struct Note<'a> {
    node: &'a str,
    key: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    node: &'a str,
    line: &'a str,
}

#[derive(Serialize)]
struct Monitor<'a> {
    node: &'a str,
    cost: Option<MonitorCost>,
    /// `measured`: statistics are of `window`; `whole`: the case told of no window, they are of
    /// its whole time.
    over: &'static str,
    series: Vec<SeriesReport<'a>>,
}

#[derive(Serialize)]
struct SeriesReport<'a> {
    name: &'a str,
    instance: Option<&'a str>,
    scope: Scope,
    kind: SeriesKind,
    /// Of the statistics: a counter's are rates.
    unit: String,
    /// `null` when no sample lies in the window.
    statistics: Option<Statistics>,
}

#[derive(Serialize)]
struct Statistics {
    n: usize,
    mean: f64,
    max: f64,
    min: f64,
    std: f64,
}

impl<'a> Report<'a> {
    fn of(run: &'a RunData) -> Self {
        let record = &run.record;
        Self {
            schema: REPORT_SCHEMA,
            run: record.run.as_str(),
            version: &record.version,
            command: &record.command,
            started: rfc3339(record.started),
            ended: record.ended.map(rfc3339),
            state: record.state,
            monitor_interval_s: record.plan.monitor.interval_ns as f64 / 1e9,
            warnings: &record.warnings,
            missing: &run.missing,
            nodes: record
                .nodes
                .iter()
                .map(|node| Node {
                    name: node.name.as_str(),
                    rank: node.rank,
                    facts: node.facts.as_ref(),
                    absent_series: &node.absent,
                    steps: node.steps.iter().map(Taken::of).collect(),
                })
                .collect(),
            results: record
                .results
                .iter()
                .enumerate()
                .map(|(index, result)| CaseReport::of(run, index, result))
                .collect(),
        }
    }
}

impl<'a> CaseReport<'a> {
    fn of(run: &'a RunData, index: usize, result: &'a CaseResult) -> Self {
        let planned = run
            .record
            .plan
            .cases
            .iter()
            .find(|planned| *planned.name() == result.case && planned.round == result.round);
        Self {
            case: result.case.as_str(),
            suite: planned.map(|planned| planned.spec.suite),
            summary: planned.map(|planned| planned.spec.summary.as_str()),
            round: result.round,
            outcome: outcome(&result.outcome),
            reason: (result.outcome != Outcome::Passed).then(|| result.outcome.to_string()),
            stage: match &result.outcome {
                Outcome::Failed { stage, .. } => Some(*stage),
                _ => None,
            },
            started: rfc3339(result.started),
            ended: rfc3339(result.ended),
            seconds: result.ended.seconds_since(result.started),
            window: result.window.map(WindowReport::of),
            parameters: planned.map_or(Vec::new(), |planned| {
                let parameter = |(name, value): (&'a String, &ParamValue)| Parameter {
                    name,
                    value: value.to_string(),
                };
                planned.params.iter().map(parameter).collect()
            }),
            limits: planned.map(|planned| planned.limits),
            measurements: result
                .measurements
                .iter()
                .map(|(node, m)| MeasurementReport::of(node, m))
                .collect(),
            notes: result
                .notes
                .iter()
                .map(|(node, key, value)| Note {
                    node: node.as_str(),
                    key,
                    value,
                })
                .collect(),
            result_lines: result
                .result_lines
                .iter()
                .map(|(node, line)| Line {
                    node: node.as_str(),
                    line,
                })
                .collect(),
            monitors: monitors(run, index, result),
            tail: &result.tail,
            directories: &result.directories,
        }
    }
}

impl<'a> MeasurementReport<'a> {
    fn of(node: &'a NodeName, m: &'a Measurement) -> Self {
        let (verified, verification) = match &m.verification {
            Verification::Checked(how) => (true, how),
            Verification::Unchecked(why) => (false, why),
        };
        Self {
            metric: m.metric.as_str(),
            printed: m.printed.as_deref(),
            value: m.value,
            unit: m.unit.as_str(),
            better: better(m.better),
            definition: &m.definition,
            node: node.as_str(),
            rank: m.rank,
            device: m.device.as_deref(),
            spread: m.spread,
            repetitions: &m.repetitions,
            verified,
            verification,
        }
    }
}

impl WindowReport {
    fn of(window: Window) -> Self {
        Self {
            begin: rfc3339(window.begin),
            end: rfc3339(window.end),
            seconds: window.seconds(),
        }
    }
}

/// One item for each node that has samples or has told what its monitors cost.
fn monitors<'a>(run: &'a RunData, index: usize, result: &'a CaseResult) -> Vec<Monitor<'a>> {
    let cost_of = |node: &str| {
        let cost = result.monitor_cost.iter().find(|(n, _)| n.as_str() == node);
        cost.map(|(_, cost)| *cost)
    };
    let over = if result.window.is_some() {
        "measured"
    } else {
        "whole"
    };
    let mut monitors: Vec<Monitor<'a>> = run
        .samples_of(index)
        .map(|samples| Monitor {
            node: &samples.node,
            cost: cost_of(&samples.node),
            over,
            series: samples
                .series()
                .map(|series| SeriesReport::of(series, result.window))
                .collect(),
        })
        .collect();
    for (node, cost) in &result.monitor_cost {
        if !monitors.iter().any(|monitor| monitor.node == node.as_str()) {
            monitors.push(Monitor {
                node: node.as_str(),
                cost: Some(*cost),
                over,
                series: Vec::new(),
            });
        }
    }
    monitors
}

impl<'a> SeriesReport<'a> {
    fn of(series: Series<'a>, window: Option<Window>) -> Self {
        let decl = series.decl;
        Self {
            name: &decl.name,
            instance: decl.instance.as_deref(),
            scope: decl.scope,
            kind: decl.kind,
            unit: rate_unit(decl).as_str().to_owned(),
            statistics: window_stats(&series, window).map(|stats| Statistics {
                n: stats.n,
                mean: stats.mean,
                max: stats.max,
                min: stats.min,
                std: stats.std,
            }),
        }
    }
}

/// The outcome as a word for programs.
fn outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Unsupported { .. } => "unsupported",
        Outcome::Failed { .. } => "failed",
        Outcome::TimedOut { .. } => "timed_out",
        Outcome::Stalled { .. } => "stalled",
        Outcome::Aborted => "aborted",
        Outcome::Lost { .. } => "lost",
        Outcome::NotRun => "not_run",
        Outcome::Skipped { .. } => "skipped",
    }
}

/// Which way is better, as a word for programs.
pub(crate) fn better(better: Better) -> &'static str {
    match better {
        Better::Higher => "higher",
        Better::Lower => "lower",
        Better::Neither => "neither",
    }
}
