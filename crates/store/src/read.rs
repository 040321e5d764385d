//! Reading a run directory, whatever state it is in.
//!
//! A run that was cut off, a damaged `run.json`, a list of events that ends in the middle of a
//! line: what is there is returned, and what is not is said in words.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flagperf_model::{
    CaseResult, Event, EventKind, MonitorSpec, NodeName, Outcome, Plan, RUN_SCHEMA, RunId,
    RunRecord, RunState, Timestamp,
};

use crate::fold::{Fold, node_of, warn};
use crate::recorder::{EVENTS, RUN_JSON};
use crate::samples::{Reader, Samples, collect};
use crate::task::{NodeResult, RESULT, SAMPLES, inside};

/// Why a run directory cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not there.
    #[error("there is no run directory `{}`", path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// It is something else.
    #[error("`{}` is not a run directory: expected a directory such as `run20261123114006-ab12cd` with `run.json` and `events.jsonl` in it", path.display())]
    NotARunDirectory {
        /// The path.
        path: PathBuf,
    },
    /// A newer program wrote it.
    #[error("`{}` was written by a newer program: its format is `{schema}`, this program knows `{RUN_SCHEMA}`; read it with the program that wrote it", path.display())]
    Newer {
        /// The path of `run.json`.
        path: PathBuf,
        /// The format that it names.
        schema: String,
    },
    /// The system does not let us.
    #[error("`{}` cannot be read", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// Why the samples of a case cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the samples in `{}` cannot be read", path.display())]
pub struct SamplesError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// A run as far as its directory tells.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedRun {
    /// Where it was read.
    pub directory: PathBuf,
    /// The record. A case that was running when the record ends is among the results, as lost.
    pub record: RunRecord,
    /// The events, in order.
    pub events: Vec<Event>,
    /// What is missing or damaged, in words.
    pub missing: Vec<String>,
}

impl LoadedRun {
    /// The samples of a node during a round of a case; `None` if there were none.
    pub fn samples(
        &self,
        result: &CaseResult,
        node_rank: u32,
    ) -> Result<Option<Samples>, SamplesError> {
        let ending = format!("_noderank{node_rank}");
        let directory = result
            .directories
            .iter()
            .find(|directory| directory.ends_with(&ending) && inside(directory));
        let Some(directory) = directory else {
            return Ok(None);
        };
        let path = self.directory.join(directory).join(SAMPLES);
        match Reader::open(&path) {
            Ok(reader) => Ok(Some(collect(reader))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SamplesError { path, source }),
        }
    }
}

/// Reads a run directory.
pub fn read_run(directory: &Path) -> Result<LoadedRun, ReadError> {
    let path = directory.to_owned();
    match fs::metadata(directory) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(ReadError::NotARunDirectory { path }),
        Err(error) => {
            return Err(match error.kind() {
                io::ErrorKind::NotFound => ReadError::NotFound { path },
                io::ErrorKind::NotADirectory => ReadError::NotARunDirectory { path },
                _ => ReadError::Io {
                    path,
                    source: error,
                },
            });
        }
    }
    let json = optional(&directory.join(RUN_JSON))?;
    let lines = optional(&directory.join(EVENTS))?;
    if json.is_none() && lines.is_none() {
        return Err(ReadError::NotARunDirectory { path });
    }
    let mut missing = Vec::new();
    if lines.is_none() {
        missing.push(format!("{EVENTS} is missing"));
    }
    let events = lines.map_or_else(Vec::new, |lines| read_events(&lines, &mut missing));
    let kept = match json {
        Some(json) => read_record(&directory.join(RUN_JSON), &json)?,
        None => Err(format!("{RUN_JSON} is missing")),
    };
    let kept = kept
        .map_err(|why| missing.push(format!("{why}; rebuilt from {EVENTS}")))
        .ok();
    let record = complete(directory, kept, &events, &mut missing);
    Ok(LoadedRun {
        directory: path,
        record,
        events,
        missing,
    })
}

fn optional(path: &Path) -> Result<Option<Vec<u8>>, ReadError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ReadError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The record in `run.json`, or what is wrong with it.
fn read_record(path: &Path, json: &[u8]) -> Result<Result<RunRecord, String>, ReadError> {
    #[derive(serde::Deserialize)]
    struct Head {
        schema: String,
    }
    let damaged = |error: &serde_json::Error| {
        format!(
            "{RUN_JSON} is damaged at line {} column {}: {error}",
            error.line(),
            error.column()
        )
    };
    let head: Head = match serde_json::from_slice(json) {
        Ok(head) => head,
        Err(error) => return Ok(Err(damaged(&error))),
    };
    let (name, known) = split_version(RUN_SCHEMA);
    let (its_name, version) = split_version(&head.schema);
    if its_name != name || version.is_none() {
        return Ok(Err(format!(
            "{RUN_JSON} is damaged: its format is `{}`, expected `{RUN_SCHEMA}`",
            head.schema
        )));
    }
    if version > known {
        return Err(ReadError::Newer {
            path: path.to_owned(),
            schema: head.schema,
        });
    }
    Ok(serde_json::from_slice(json).map_err(|error| damaged(&error)))
}

/// Name and major version of a format: `flagperf.run/1` or `flagperf.run/1.2`.
fn split_version(schema: &str) -> (&str, Option<u32>) {
    let (name, version) = schema.split_once('/').unwrap_or((schema, ""));
    let major = version.split('.').next().unwrap_or_default();
    (name, major.parse().ok())
}

fn read_events(bytes: &[u8], missing: &mut Vec<String>) -> Vec<Event> {
    let mut events = Vec::new();
    if bytes.is_empty() {
        missing.push(format!("{EVENTS} is empty"));
    }
    let whole = bytes
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |end| end + 1);
    for (index, line) in bytes[..whole].split(|&byte| byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice(line) {
            Ok(event) => events.push(event),
            Err(error) => missing.push(format!(
                "{EVENTS} line {} cannot be read: {error}",
                index + 1
            )),
        }
    }
    if whole < bytes.len() {
        let number = bytes[..whole].split(|&byte| byte == b'\n').count();
        // A last line without its newline may still be whole.
        match serde_json::from_slice(&bytes[whole..]) {
            Ok(event) => {
                events.push(event);
                missing.push(format!(
                    "{EVENTS} ends without a newline after line {number}"
                ));
            }
            Err(_) => missing.push(format!("{EVENTS} ends in the middle of line {number}")),
        }
    }
    events
}

/// Brings together what `run.json` and the events say.
fn complete(
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
    let last = events.last().map(|event| event.at);
    let unfinished = last.and_then(|at| fold.unfinished(at));
    let mut record = match kept {
        Some(record) => merge(record, told),
        None => told,
    };
    if let Some(mut result) = unfinished
        && !record.results.iter().any(|known| same(known, &result))
        && let Some(node) = record.nodes.first().map(|node| node.name.clone())
    {
        result.outcome = Outcome::Lost {
            node,
            reason: "the record ends while the case ran".to_owned(),
        };
        record.results.push(result);
    }
    if record.ended.is_none() {
        let during = record
            .results
            .last()
            .filter(|result| matches!(&result.outcome, Outcome::Lost { reason, .. } if reason.starts_with("the record ends")))
            .map(|result| format!(" while {} round {} ran", result.case, result.round))
            .unwrap_or_default();
        missing.push(format!(
            "the record has no end: the run is still going on, or was cut off{during}"
        ));
    }
    find_files(directory, &mut record);
    record
}

fn same(a: &CaseResult, b: &CaseResult) -> bool {
    a.case == b.case && a.round == b.round
}

/// `run.json` is replaced at the end of a case, events are written at once: the events may know more.
fn merge(mut record: RunRecord, told: RunRecord) -> RunRecord {
    for node in told.nodes {
        let known = node_of(&mut record, &node.name);
        known.facts = known.facts.take().or(node.facts);
    }
    for result in told.results {
        match record.results.iter_mut().find(|known| same(known, &result)) {
            // What a node said after the end of the case came too late for run.json.
            Some(known) => {
                longer(&mut known.measurements, result.measurements);
                longer(&mut known.notes, result.notes);
                longer(&mut known.monitor_cost, result.monitor_cost);
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
            monitor: MonitorSpec { interval_ns: 0 },
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
                let part = fs::read(path)
                    .ok()
                    .and_then(|json| serde_json::from_slice::<NodeResult>(&json).ok());
                if let Some(part) = part
                    && same(&part.result, result)
                {
                    result.result_lines.extend(part.result.result_lines);
                }
                if let Ok(reader) = Reader::open(&directory.join(task).join(SAMPLES))
                    && let Some(known) = record.nodes.iter_mut().find(|known| known.name == *node)
                    && known.series.is_empty()
                {
                    known.series = reader.series;
                }
            }
            result.directories = found.into_iter().map(|(_, _, task)| task).collect();
            break;
        }
    }
}
