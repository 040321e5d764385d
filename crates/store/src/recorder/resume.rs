//! Taking up a run whose record has no end, or whose cases did not all pass.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flagperf_model::{Outcome, RunState};

use super::Recorder;
use crate::create::CreateError;
use crate::disk::plain;
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

impl Recorder {
    /// Opens the record of a run to go on with it. Results that are not failures stay; those of the
    /// other rounds are dropped from the record, and take their place at its end when they come.
    /// The events of both attempts stay in `events.jsonl`.
    ///
    /// # Errors
    ///
    /// The run is still going on, its plan is lost, or its directory cannot be read or written.
    pub fn reopen(directory: &Path) -> Result<Self, ReopenError> {
        let path = directory.to_owned();
        // Read first, so that nothing is written into what is no run directory.
        read_run(directory)?;
        let lock = Lock::take(directory).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => ReopenError::Running { path: path.clone() },
            _ => ReopenError::Write(CreateError::new(directory, error)),
        })?;
        // Only now does nobody write any more.
        let loaded = read_run(directory)?;
        let mut record = loaded.record;
        if record.plan.cases.is_empty() {
            lock.release();
            let reason = loaded
                .missing
                .into_iter()
                .find(|text| text.contains("run.json"));
            let reason = reason.unwrap_or_else(|| "run.json names no case".to_owned());
            return Err(ReopenError::NoPlan { path, reason });
        }
        record.results.retain(|result| !result.outcome.is_failure());
        record.ended = None;
        record.state = RunState::Running;
        let now = loaded
            .events
            .last()
            .map_or(record.started, |event| event.at);
        let mut recorder = Self::open(path, lock, record, now)
            .map_err(|error| ReopenError::Write(CreateError::new(directory, error)))?;
        recorder.events.continue_after(&mut recorder.disk);
        recorder.log.continue_after(&mut recorder.disk);
        Ok(recorder)
    }

    /// The places in the plan of the rounds that have not passed. A round that the plan says cannot
    /// run here is done as soon as that has been recorded.
    pub fn remaining(&self) -> Vec<usize> {
        let record = &self.record;
        let cases = record.plan.cases.iter().enumerate();
        cases
            .filter(|(_, planned)| {
                !record.results.iter().any(|result| {
                    result.case == *planned.name()
                        && result.round == planned.round
                        && (result.outcome == Outcome::Passed || planned.unsupported.is_some())
                })
            })
            .map(|(place, _)| place)
            .collect()
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
