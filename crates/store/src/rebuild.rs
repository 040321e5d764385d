//! What the events and the files of the tasks know beyond `run.json`, or without it.

use std::fs;
use std::path::Path;

use flagperf_model::{
    CaseResult, Environment, Event, EventKind, MonitorSpec, NodeName, Outcome, Plan, RUN_SCHEMA,
    RunId, RunRecord, RunState, Timestamp,
};

use crate::fold::{CUT_OFF, Fold, node_of, warn};
use crate::recorder::EVENTS;
use crate::regular::read_regular;
use crate::samples::Reader;
use crate::task::{CHIP_SAMPLES, NodeResult, RESULT, SAMPLES};

/// Brings together what `run.json` and the events say.
pub(crate) fn complete(
    directory: &Path,
    kept: Option<RunRecord>,
    events: &[Event],
    missing: &mut Vec<String>,
) -> RunRecord {
    let rebuilding = kept.is_none();
    let mut told = blank(directory, events, rebuilding.then_some(&mut *missing));
    let mut fold = Fold::default();
    for event in events {
        fold.apply(&mut told, event);
    }
    let mut record = match kept {
        Some(mut record) => {
            taken_up_since(&mut record, events);
            merge(record, told)
        }
        None => told,
    };
    if let Some(result) = fold.unfinished(&record) {
        forget_earlier(&mut record, &result);
        if !record.results.iter().any(|known| same(known, &result)) {
            record.results.push(result);
        }
    }
    if record.ended.is_none() {
        let during = record
            .results
            .last()
            .filter(|result| matches!(&result.outcome, Outcome::Lost { reason, .. } if reason == CUT_OFF))
            .map(|result| format!(" while {} round {} ran", result.case, result.round))
            .unwrap_or_default();
        let open = record.plan.cases.len().saturating_sub(record.results.len());
        let open = match open {
            0 => String::new(),
            1 => "; one planned case has no result".to_owned(),
            n => format!("; {n} planned cases have no result"),
        };
        missing.push(format!(
            "the record has no end: the run is still going on, or was cut off{during}{open}"
        ));
    }
    find_files(directory, &mut record);
    record
}

fn same(a: &CaseResult, b: &CaseResult) -> bool {
    a.case == b.case && a.round == b.round
}

/// Removes what is known of an attempt at a round if this is the result of a later one.
fn forget_earlier(record: &mut RunRecord, result: &CaseResult) {
    record
        .results
        .retain(|known| !(same(known, result) && known.ended < result.started));
}

/// The events tell at once that a run was taken up again.
fn taken_up_since(record: &mut RunRecord, events: &[Event]) {
    let resumed = events
        .iter()
        .rfind(|event| matches!(event.what, EventKind::RunResumed { .. }));
    if record.ended < resumed.map(|event| event.at) {
        record.ended = None;
        record.state = RunState::Running;
    }
}

/// `run.json` is replaced at the end of a case, events are written at once: the events may know more.
fn merge(mut record: RunRecord, told: RunRecord) -> RunRecord {
    for node in told.nodes {
        let known = node_of(&mut record, &node.name);
        known.facts = known.facts.take().or(node.facts);
        known.clock = known.clock.or(node.clock);
        known.bad = known.bad.take().or(node.bad);
    }
    for result in told.results {
        forget_earlier(&mut record, &result);
        match record.results.iter_mut().find(|known| same(known, &result)) {
            // What a node said after the end of the case came too late for run.json.
            Some(known) => {
                longer(&mut known.measurements, result.measurements);
                longer(&mut known.notes, result.notes);
                longer(&mut known.monitor_cost, result.monitor_cost);
                longer(&mut known.collected, result.collected);
            }
            None => record.results.push(result),
        }
    }
    for warning in told.warnings {
        warn(&mut record, warning);
    }
    record.ended = record.ended.or(told.ended);
    if record.state == RunState::Running {
        record.state = told.state;
    }
    record
}

fn longer<T>(known: &mut Vec<T>, told: Vec<T>) {
    if told.len() > known.len() {
        *known = told;
    }
}

/// A record to start from when there is nothing but events.
fn blank(directory: &Path, events: &[Event], missing: Option<&mut Vec<String>>) -> RunRecord {
    let begun = events.iter().find_map(|event| match &event.what {
        EventKind::RunStarted { run, version, .. } => Some((run, version, event.at)),
        _ => None,
    });
    if let Some(missing) = missing {
        missing.push("the plan, the command line and the list of series that the machine lacks were in run.json and are lost".into());
        if begun.is_none() {
            missing.push(format!("the beginning of the run is not in {EVENTS}"));
        }
    }
    let (run, version, started) = match begun {
        Some((run, version, started)) => (run.clone(), version.clone(), started),
        None => (
            name_of(directory),
            String::new(),
            events
                .first()
                .map_or(Timestamp::default(), |event| event.at),
        ),
    };
    RunRecord {
        schema: RUN_SCHEMA.to_owned(),
        plan: Plan {
            run: run.clone(),
            nodes: Vec::new(),
            environment: Environment::default(),
            monitor: MonitorSpec {
                interval_ns: 0,
                vendor: None,
            },
            duration_s: None,
            master_port: None,
            cases: Vec::new(),
        },
        run,
        version,
        command: Vec::new(),
        started,
        ended: None,
        state: RunState::Running,
        nodes: Vec::new(),
        results: Vec::new(),
        warnings: Vec::new(),
    }
}

/// The run's name after its directory.
#[expect(
    clippy::expect_used,
    reason = "the name is a constant that follows the rules"
)]
fn name_of(directory: &Path) -> RunId {
    directory
        .file_name()
        .and_then(|name| RunId::new(name.to_string_lossy()).ok())
        .unwrap_or_else(|| RunId::new("run-unknown").expect("letters and a hyphen"))
}

/// Gives results that came from events their directories and result lines, and nodes their series,
/// from the files of the tasks.
fn find_files(directory: &Path, record: &mut RunRecord) {
    for result in &mut record.results {
        if !result.directories.is_empty() {
            continue;
        }
        for base in [
            format!("{}/round{}", result.case, result.round),
            result.case.to_string(),
        ] {
            let mut found: Vec<(u32, NodeName, String)> = fs::read_dir(directory.join(&base))
                .into_iter()
                .flatten()
                .flatten()
                .filter_map(|entry| {
                    let name = entry.file_name().into_string().ok()?;
                    let (node, rank) = name.rsplit_once("_noderank")?;
                    let node = NodeName::new(node).ok()?;
                    Some((rank.parse().ok()?, node, format!("{base}/{name}")))
                })
                .collect();
            found.sort_unstable();
            if found.is_empty() {
                continue;
            }
            for (_, node, task) in &found {
                let path = directory.join(task).join(RESULT);
                let part = read_regular(&path)
                    .ok()
                    .and_then(|json| serde_json::from_slice::<NodeResult>(&json).ok());
                if let Some(part) = part
                    && same(&part.result, result)
                {
                    result.result_lines.extend(part.result.result_lines);
                }
                if let Some(known) = record.nodes.iter_mut().find(|known| known.name == *node) {
                    let files = [
                        (SAMPLES, &mut known.series),
                        (CHIP_SAMPLES, &mut known.chip_series),
                    ];
                    for (file, series) in files {
                        if series.is_empty()
                            && let Ok(reader) = Reader::open(&directory.join(task).join(file))
                        {
                            *series = reader.series;
                        }
                    }
                }
            }
            result.directories = found.into_iter().map(|(_, _, task)| task).collect();
            break;
        }
    }
}
