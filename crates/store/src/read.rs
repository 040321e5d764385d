//! Reading a run directory, whatever state it is in.
//!
//! A run that was cut off, a damaged `run.json`, a list of events that ends in the middle of a
//! line: what is there is returned, and what is not is said in words.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flagperf_model::{CaseResult, Event, RUN_SCHEMA, RunRecord};

use crate::rebuild::complete;
use crate::recorder::{EVENTS, RUN_JSON};
use crate::regular::read_regular;
use crate::samples::{Reader, Samples, collect};
use crate::task::{CHIP_SAMPLES, SAMPLES, inside};

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
        self.read_samples(result, node_rank, SAMPLES)
    }

    /// The samples of a node's chips during a round of a case; `None` if there were none.
    pub fn chip_samples(
        &self,
        result: &CaseResult,
        node_rank: u32,
    ) -> Result<Option<Samples>, SamplesError> {
        self.read_samples(result, node_rank, CHIP_SAMPLES)
    }

    fn read_samples(
        &self,
        result: &CaseResult,
        node_rank: u32,
        file: &str,
    ) -> Result<Option<Samples>, SamplesError> {
        let ending = format!("_noderank{node_rank}");
        let directory = result
            .directories
            .iter()
            .find(|directory| directory.ends_with(&ending) && inside(directory));
        let Some(directory) = directory else {
            return Ok(None);
        };
        let path = self.directory.join(directory).join(file);
        // A run that was killed between making the file and its first write has no samples in it.
        if fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() == 0) {
            return Ok(None);
        }
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
    let [json, lines] = [RUN_JSON, EVENTS].map(|name| optional(&directory.join(name)));
    let unreadable = |name, source| ReadError::Io {
        path: directory.join(name),
        source,
    };
    let (json, lines) = match (json, lines) {
        (Ok(None), Ok(None)) => return Err(ReadError::NotARunDirectory { path }),
        (Err(source), Ok(None) | Err(_)) => return Err(unreadable(RUN_JSON, source)),
        (Ok(None), Err(source)) => return Err(unreadable(EVENTS, source)),
        both => both,
    };
    let mut missing = Vec::new();
    let events = match lines {
        Ok(Some(lines)) => read_events(&lines, &mut missing),
        Ok(None) => {
            missing.push(format!("{EVENTS} is missing"));
            Vec::new()
        }
        Err(error) => {
            missing.push(format!("{EVENTS} cannot be read: {error}"));
            Vec::new()
        }
    };
    let kept = match json {
        Ok(Some(json)) => read_record(&directory.join(RUN_JSON), &json)?,
        Ok(None) => Err(format!("{RUN_JSON} is missing")),
        Err(error) => Err(format!("{RUN_JSON} cannot be read: {error}")),
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

/// The content of a file; `None` if it is not there.
fn optional(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match read_regular(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
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

/// Unreadable lines of the events that are told one by one; of the others only their number.
const NOTICES: usize = 5;

fn read_events(bytes: &[u8], missing: &mut Vec<String>) -> Vec<Event> {
    let mut events = Vec::new();
    let mut unreadable = 0usize;
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
            Err(error) => {
                unreadable += 1;
                if unreadable <= NOTICES {
                    missing.push(format!(
                        "{EVENTS} line {} cannot be read: {error}",
                        index + 1
                    ));
                }
            }
        }
    }
    match unreadable.saturating_sub(NOTICES) {
        0 => {}
        1 => missing.push(format!("{EVENTS}: one more line cannot be read")),
        more => missing.push(format!("{EVENTS}: {more} more lines cannot be read")),
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
