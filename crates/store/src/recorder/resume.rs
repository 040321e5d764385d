//! Taking up a run whose record has no end, or whose cases did not all pass.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flagperf_model::{Plan, RunRecord, Timestamp};

use super::{Recorder, json};
use crate::create::CreateError;
use crate::disk::{Disk, plain};
use crate::lock::Lock;
use crate::read::{ReadError, read_run};

/// Attempts at a round whose files are kept.
const ATTEMPTS: u32 = 10_000;

/// Why a run cannot be taken up again.
#[derive(Debug, thiserror::Error)]
pub enum ReopenError {
    /// Its record cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is still going on.
    #[error("the run in `{}` is still going on: another process is writing its record; wait for its end or stop it", path.display())]
    Running {
        /// The run directory.
        path: PathBuf,
    },
    /// Nobody knows what it was to do.
    #[error("the run in `{}` cannot be taken up again: its plan is lost ({reason}); start a new run", path.display())]
    NoPlan {
        /// The run directory.
        path: PathBuf,
        /// What is wrong with `run.json`.
        reason: String,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(CreateError),
}

/// A run whose record has been read to go on with it. Nobody else can take it up meanwhile, and nothing
/// of it has been changed: dropping this leaves everything as it was.
#[derive(Debug)]
pub struct EarlierRun {
    directory: PathBuf,
    record: RunRecord,
    /// When its last event came.
    last: Timestamp,
    lock: Lock,
}

impl EarlierRun {
    /// The run directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The record as it was left. A case that ran when it was cut off is among the results, as lost.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// Goes on with the run. `plan` is what is recorded as its plan from now on; the record changes with
    /// the next event, which is to be `RunResumed`. Results stay until their rounds begin again. The
    /// events of all attempts stay in `events.jsonl`.
    ///
    /// # Errors
    ///
    /// The run directory cannot be written.
    pub fn resume(self, plan: Plan) -> Result<Recorder, CreateError> {
        let mut record = self.record;
        record.plan = plan;
        let disk = Disk::open(&self.directory, json(&record).len())
            .map_err(|error| CreateError::new(&self.directory, error))?;
        let mut recorder = Recorder::open(self.directory, self.lock, disk, record, self.last);
        recorder.events.continue_after(&mut recorder.disk);
        recorder.log.continue_after(&mut recorder.disk);
        Ok(recorder)
    }
}

impl Recorder {
    /// Reads the record of a run to go on with it, and keeps others from doing so.
    ///
    /// # Errors
    ///
    /// The run is still going on, its plan is lost, or its directory cannot be read or written.
    pub fn reopen(directory: &Path) -> Result<EarlierRun, ReopenError> {
        let path = directory.to_owned();
        // Read first, so that nothing is written into what is no run directory.
        read_run(directory)?;
        let lock = Lock::take(directory).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => ReopenError::Running { path: path.clone() },
            _ => ReopenError::Write(CreateError::new(directory, error)),
        })?;
        // Only now does nobody write any more.
        let loaded = read_run(directory)?;
        let record = loaded.record;
        if record.plan.cases.is_empty() {
            let reason = loaded
                .missing
                .into_iter()
                .find(|text| text.contains("run.json"));
            let reason = reason.unwrap_or_else(|| "run.json names no case".to_owned());
            return Err(ReopenError::NoPlan { path, reason });
        }
        let last = loaded.events.last();
        let last = last.map_or(record.started, |event| event.at);
        Ok(EarlierRun {
            directory: path,
            record,
            last,
            lock,
        })
    }

    /// Gives the directory of an earlier attempt another name, so that files of two attempts do not
    /// mix.
    pub(super) fn move_aside(&mut self, task: &str) {
        let from = self.directory.join(task);
        if fs::symlink_metadata(&from).is_err() {
            return;
        }
        let free = (1..=ATTEMPTS)
            .map(|number| self.directory.join(format!("{task}.attempt{number}")))
            .find(|path| fs::symlink_metadata(path).is_err());
        let moved = free.map_or(Err(io::ErrorKind::AlreadyExists.into()), |to| {
            fs::rename(&from, to)
        });
        if let Err(error) = moved {
            self.disk.problem(format!(
                "`{task}` holds files of an earlier attempt that could not be moved aside: {}",
                plain(&error)
            ));
        }
    }
}
