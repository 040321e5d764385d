//! The recorder: takes events, output and samples of a run and writes the run directory.
//!
//! Events are lines that are in the system's hands at once, so a kill loses nothing; `run.json` is
//! replaced in one step; both are synced to the disk at the end of every case. What cannot be
//! written becomes a problem in words and never stops a run.

mod close;
mod resume;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flagperf_model::{
    Absent, CaseName, Event, EventKind, NodeName, PlannedCase, RunRecord, RunState, SampleBlock,
    SeriesDecl, StepKind, Timestamp,
};

use crate::clock::Clock;
use crate::create::CreateError;
use crate::disk::{Appender, Disk, Durability, Weight};
use crate::fold::{Fold, node_at, node_of, step_log, warn};
use crate::lock::Lock;
use crate::readable::{self, Level};
use crate::task::{TaskFiles, inside};

pub use resume::{EarlierRun, ReopenError};

/// Name of the record in a run directory.
pub(crate) const RUN_JSON: &str = "run.json";
/// Name of the list of events.
pub(crate) const EVENTS: &str = "events.jsonl";
const LOG: &str = "flagperf_run.log";
const DETAIL: &str = "detail_result.json";
/// Lines of output shown with a case that did not pass.
const TAIL_LINES: usize = 20;

/// Writes the run directory of one run.
#[derive(Debug)]
pub struct Recorder {
    directory: PathBuf,
    clock: Clock,
    disk: Disk,
    record: RunRecord,
    fold: Fold,
    events: Appender,
    log: Appender,
    /// The round of a case that is running.
    open: Option<OpenCase>,
    any_case: bool,
    /// Time of the last event, for lines of the log that no event causes.
    now: Timestamp,
    /// The report at the end of the log, gathered case by case.
    report: String,
    /// `run.json` as it was written last.
    saved: Vec<u8>,
    /// True if nodes have told about themselves since.
    nodes_changed: bool,
    /// What steps of container mode print on nodes, while they do.
    steps: BTreeMap<(u32, StepKind), Appender>,
    /// Held until the end, so that nobody takes up a run that is going on.
    _lock: Lock,
}

#[derive(Debug)]
struct OpenCase {
    case: CaseName,
    round: u32,
    /// In the order of nodes.
    tasks: Vec<TaskFiles>,
}

impl Recorder {
    /// Creates `<results>/<run id>/` with the first `run.json`, and sets space aside for the end
    /// of the record. Fails early where the run could not be recorded at all.
    pub fn create(results: &Path, record: RunRecord) -> Result<Self, CreateError> {
        fs::create_dir_all(results).map_err(|error| CreateError::new(results, error))?;
        let directory = results.join(record.run.as_str());
        fs::create_dir(&directory).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => CreateError::Exists {
                path: directory.clone(),
            },
            _ => CreateError::new(results, error),
        })?;
        let now = record.started;
        let saved = json(&record);
        let mut recorder = Lock::take(&directory)
            .and_then(|lock| {
                let disk = Disk::create(&directory, RUN_JSON, &saved)?;
                Ok(Self::open(directory.clone(), lock, disk, record, now))
            })
            .map_err(|error| {
                // Nothing of value is in it yet, and an empty run directory would only puzzle.
                drop(fs::remove_dir_all(&directory));
                CreateError::new(results, error)
            })?;
        let first = recorder
            .clock
            .format(now, "%Y-%m-%d %H:%M:%S FlagperfLogger started.\n");
        recorder.log.append(&mut recorder.disk, first.as_bytes());
        recorder.saved = saved;
        Ok(recorder)
    }

    /// Opens the files that grow.
    fn open(
        directory: PathBuf,
        lock: Lock,
        mut disk: Disk,
        record: RunRecord,
        now: Timestamp,
    ) -> Self {
        let events = Appender::open(&mut disk, EVENTS, Weight::Vital);
        let log = Appender::open(&mut disk, LOG, Weight::Vital);
        Self {
            directory,
            clock: Clock::local(),
            disk,
            record,
            fold: Fold::default(),
            events,
            log,
            open: None,
            any_case: false,
            now,
            report: String::new(),
            saved: Vec::new(),
            nodes_changed: false,
            steps: BTreeMap::new(),
            _lock: lock,
        }
    }

    /// The run directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The record as it stands.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// What could not be recorded so far, each once, in words.
    pub fn problems(&self) -> &[String] {
        self.disk.problems()
    }

    /// Records what happened. `CaseEnded` also closes the files of the case that
    /// [`Recorder::begin_case`] opened; values that are only for people who watch are not recorded.
    pub fn event(&mut self, event: &Event) {
        if matches!(event.what, EventKind::Live { .. }) {
            return;
        }
        self.now = event.at;
        let mut line = json_line(event);
        // JSON has no word for numbers that are not finite; a line with one could not be read.
        if serde_json::from_slice::<Event>(&line).is_err() {
            self.disk.problem(format!(
                "an event at {} holds a number that is not finite and is not recorded",
                self.clock.monitor(event.at)
            ));
            return;
        }
        line.push(b'\n');
        self.events.append(&mut self.disk, &line);
        let results = self.record.results.len();
        let ended = self.fold.apply(&mut self.record, event);
        for (level, text) in readable::lines(event, !self.any_case) {
            self.say(level, &text);
        }
        match &event.what {
            EventKind::CaseStarted { .. } => {
                self.any_case = true;
                // Once for all nodes: saving at each of hundreds would cost their number squared.
                let nodes_changed = std::mem::take(&mut self.nodes_changed);
                // The result of an earlier attempt is gone.
                if nodes_changed || self.record.results.len() != results {
                    self.save(Durability::Process);
                }
            }
            EventKind::NodeReady { .. } | EventKind::NodeBad(_) => self.nodes_changed = true,
            EventKind::RunResumed { .. } => self.save(Durability::Process),
            EventKind::CaseEnded { .. } => {
                if let Some(index) = ended {
                    self.close_case(index);
                }
                self.events.sync(&mut self.disk);
                self.save(Durability::Power);
            }
            EventKind::StepEnded { .. } => self.nodes_changed = true,
            EventKind::RunEnded { .. } => {
                self.final_report();
                // `finish` follows at once and saves the record; until then the events tell it.
                self.events.sync(&mut self.disk);
            }
            _ => {}
        }
    }

    /// Takes the series of a node's monitors; they hold for cases that begin afterwards.
    pub fn node_series(&mut self, node: &NodeName, series: Vec<SeriesDecl>, absent: Vec<Absent>) {
        let record = node_of(&mut self.record, node);
        record.series = series;
        record.absent = absent;
        self.nodes_changed = true;
    }

    /// Opens the files of a round of a case on every node. Files of an earlier attempt at the round
    /// are moved aside, to `<directory>.attempt<N>`.
    pub fn begin_case(&mut self, planned: &PlannedCase) {
        self.leave_files();
        self.disk.recover();
        let mut tasks = Vec::new();
        for task in &planned.tasks {
            if !inside(&task.directory) || !inside(&task.log) {
                self.disk.problem(format!(
                    "`{}/{}` does not lie in the run directory and is not written",
                    task.directory, task.log
                ));
                continue;
            }
            self.move_aside(&task.directory);
            if let Err(error) = fs::create_dir_all(self.directory.join(&task.directory)) {
                self.disk.lost(&task.directory, &error);
            }
            let series = node_at(&mut self.record, &task.node, task.node_rank)
                .series
                .clone();
            tasks.push(TaskFiles::open(&mut self.disk, task, series));
        }
        tasks.sort_by_key(|task| task.node_rank);
        self.open = Some(OpenCase {
            case: planned.name().clone(),
            round: planned.round,
            tasks,
        });
    }

    /// Appends output of a rank of the running case. Lines of different ranks never mix.
    pub fn output(&mut self, node_rank: u32, rank: u32, chunk: &[u8]) {
        if let Some(task) = find(&mut self.open, node_rank) {
            task.output(&mut self.disk, rank, chunk);
        }
    }

    /// Appends what a step of container mode prints on a node.
    pub fn step_output(&mut self, node_rank: u32, step: StepKind, chunk: &[u8]) {
        let disk = &mut self.disk;
        let record = &self.record;
        let appender = self.steps.entry((node_rank, step)).or_insert_with(|| {
            let node = record.nodes.iter().find(|node| node.rank == node_rank);
            let name = node.map_or_else(
                || format!("container/noderank{node_rank}/{}.log", step.slug()),
                |node| step_log(&node.name, node_rank, step),
            );
            if let Some(parent) = self.directory.join(&name).parent()
                && let Err(error) = fs::create_dir_all(parent)
            {
                disk.lost(&name, &error);
            }
            Appender::open(disk, &name, Weight::Bulk)
        });
        appender.append(disk, chunk);
    }

    /// Appends samples of a node for the running case.
    pub fn samples(&mut self, node_rank: u32, block: &SampleBlock) {
        if let Some(task) = find(&mut self.open, node_rank) {
            task.samples(&mut self.disk, block);
        }
    }

    /// Takes the next piece of the archive of the files that the running case left on a node, and
    /// unpacks it into `files/` in the task's directory. Waits for the disk if it falls far behind.
    pub fn files(&mut self, node_rank: u32, chunk: Vec<u8>) {
        if let Some(task) = find(&mut self.open, node_rank) {
            task.files(&mut self.disk, &self.directory, chunk);
        }
    }

    /// The archive of a node is complete. Returns how many files came out of it, and how many bytes;
    /// what was refused or is not whole is among the problems.
    pub fn files_ended(&mut self, node_rank: u32) -> (u64, u64) {
        find(&mut self.open, node_rank).map_or((0, 0), |task| task.files_ended(&mut self.disk))
    }

    /// The last lines of the running case's output, 20 in all, node after node; with several nodes
    /// each line begins with its node.
    pub fn tail(&self) -> Vec<String> {
        let tasks = self.open.as_ref().map_or(&[][..], |open| &open.tasks);
        let several = tasks.len() > 1;
        let each = TAIL_LINES.div_ceil(tasks.len().max(1));
        let mut lines = Vec::new();
        for task in tasks {
            let of_task: Vec<&str> = task.lines.tail().collect();
            for line in &of_task[of_task.len().saturating_sub(each)..] {
                lines.push(if several {
                    format!("{}: {line}", task.node)
                } else {
                    (*line).to_owned()
                });
            }
        }
        lines.truncate(TAIL_LINES);
        lines
    }

    /// Ends the record and returns the problems met while recording, each once.
    pub fn finish(mut self, state: RunState) -> Vec<String> {
        self.leave_files();
        self.record.state = state;
        self.record.ended.get_or_insert(self.now);
        self.say(Level::Info, "Stop FlagperfLogger.");
        self.save(Durability::Power);
        self.disk.close();
        self.disk.problems().to_vec()
    }

    /// Ends the unpacking for a case that had no end itself.
    fn leave_files(&mut self) {
        for task in self.open.iter_mut().flat_map(|open| &mut open.tasks) {
            task.files_cut_off(&mut self.disk);
        }
    }

    /// Adds a line to the readable log.
    fn say(&mut self, level: Level, text: &str) {
        let header = self.clock.format(self.now, "%Y-%m-%d %H:%M:%S,%3f");
        for line in text.lines() {
            let line = format!("{header}\t[{}]\t[flagperf,0]{line}\n", level.word());
            self.log.append(&mut self.disk, line.as_bytes());
        }
    }

    /// Writes `run.json` if it has changed.
    fn save(&mut self, durability: Durability) {
        for problem in self.disk.problems() {
            warn(&mut self.record, problem.clone());
        }
        let bytes = json(&self.record);
        if bytes != self.saved {
            self.disk.replace(RUN_JSON, &bytes, durability);
            self.saved = bytes;
        }
    }
}

fn find(open: &mut Option<OpenCase>, node_rank: u32) -> Option<&mut TaskFiles> {
    let tasks = &mut open.as_mut()?.tasks;
    let place = tasks.binary_search_by_key(&node_rank, |task| task.node_rank);
    tasks.get_mut(place.ok()?)
}

/// Indented JSON with a newline at the end.
#[expect(
    clippy::expect_used,
    reason = "the types hold no maps with keys other than text, the only thing that JSON cannot express"
)]
fn json(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("text keys only");
    bytes.push(b'\n');
    bytes
}

#[expect(
    clippy::expect_used,
    reason = "the types hold no maps with keys other than text, the only thing that JSON cannot express"
)]
fn json_line(event: &Event) -> Vec<u8> {
    serde_json::to_vec(event).expect("text keys only")
}
