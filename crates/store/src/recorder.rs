//! The recorder: takes events, output and samples of a run and writes the run directory.
//!
//! Events are lines that are in the system's hands at once, so a kill loses nothing; `run.json` is
//! replaced in one step; both are synced to the disk at the end of every case. What cannot be
//! written becomes a problem in words and never stops a run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flagperf_archive::Unpacker;
use flagperf_model::{
    Absent, CaseName, Event, EventKind, NodeName, PlannedCase, RunRecord, RunState, SampleBlock,
    SeriesDecl, Timestamp,
};

use crate::classic::{self, Classic};
use crate::clock::Clock;
use crate::create::CreateError;
use crate::disk::{Appender, Disk, Durability, Weight, plain};
use crate::fold::{Fold, node_of, warn};
use crate::readable::{self, Level};
use crate::samples::compact;
use crate::task::{FILES, NodeResult, RESULT, SAMPLES, TaskFiles, inside};

/// Name of the record in a run directory.
pub(crate) const RUN_JSON: &str = "run.json";
/// Name of the list of events.
pub(crate) const EVENTS: &str = "events.jsonl";
const LOG: &str = "flagperf_run.log";
const DETAIL: &str = "detail_result.json";
/// Lines of output shown with a case that did not pass.
const TAIL_LINES: usize = 20;
/// A samples file up to this is not made smaller, in bytes: some minutes of samples once a second.
const LEFT_ALONE: u64 = 64 << 10;

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
}

#[derive(Debug)]
struct OpenCase {
    case: CaseName,
    round: u32,
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
        let saved = json(&record);
        let disk = Disk::create(&directory, RUN_JSON, &saved).map_err(|error| {
            // Nothing of value is in it yet, and an empty run directory would only puzzle.
            drop(fs::remove_dir_all(&directory));
            CreateError::new(results, error)
        })?;
        let mut disk = disk;
        let events = Appender::open(&mut disk, EVENTS, Weight::Vital);
        let log = Appender::open(&mut disk, LOG, Weight::Vital);
        let now = record.started;
        let mut recorder = Self {
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
            saved,
        };
        let first = recorder
            .clock
            .format(now, "%Y-%m-%d %H:%M:%S FlagperfLogger started.\n");
        recorder.log.append(&mut recorder.disk, first.as_bytes());
        Ok(recorder)
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
        let ended = self.fold.apply(&mut self.record, event);
        for (level, text) in readable::lines(event, !self.any_case) {
            self.say(level, &text);
        }
        match &event.what {
            EventKind::CaseStarted { .. } => {
                // Not at every node that comes up: there may be thousands.
                if !self.any_case {
                    self.save(Durability::Process);
                }
                self.any_case = true;
            }
            EventKind::CaseEnded { .. } => {
                if let Some(index) = ended {
                    self.close_case(index);
                }
                self.events.sync(&mut self.disk);
                self.save(Durability::Power);
            }
            EventKind::RunEnded { .. } => {
                self.final_report();
                self.events.sync(&mut self.disk);
                self.save(Durability::Power);
            }
            _ => {}
        }
    }

    /// Takes the series of a node's monitors; they hold for cases that begin afterwards.
    pub fn node_series(&mut self, node: &NodeName, series: Vec<SeriesDecl>, absent: Vec<Absent>) {
        let record = node_of(&mut self.record, node);
        record.series = series;
        record.absent = absent;
    }

    /// Opens the files of a round of a case on every node.
    pub fn begin_case(&mut self, planned: &PlannedCase) {
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
            if let Err(error) = fs::create_dir_all(self.directory.join(&task.directory)) {
                self.disk.lost(&task.directory, &error);
            }
            let series = node_of(&mut self.record, &task.node).series.clone();
            tasks.push(TaskFiles::open(&mut self.disk, task, series));
        }
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

    /// Takes a part of the files that the running case left on a node, packed as `flagperf-archive`
    /// does. They go to `files/` beside its output.
    pub fn files(&mut self, node_rank: u32, part: Vec<u8>) {
        let directory = &self.directory;
        if let Some(task) = find(&mut self.open, node_rank) {
            let into = directory.join(&task.directory).join(FILES);
            task.files
                .get_or_insert_with(|| Unpacker::start(into))
                .push(part);
        }
    }

    /// The files of a node are complete, or no more of them will come.
    pub fn files_ended(&mut self, node_rank: u32) {
        if let Some(task) = find(&mut self.open, node_rank) {
            task.end_files(&mut self.disk);
        }
    }

    /// Appends samples of a node for the running case.
    pub fn samples(&mut self, node_rank: u32, block: &SampleBlock) {
        if let Some(task) = find(&mut self.open, node_rank) {
            task.samples(&mut self.disk, block);
        }
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
        self.record.state = state;
        self.record.ended.get_or_insert(self.now);
        self.say(Level::Info, "Stop FlagperfLogger.");
        self.save(Durability::Power);
        self.disk.close();
        self.disk.problems().to_vec()
    }

    /// Flushes and completes the files of the case whose result is at `index`.
    fn close_case(&mut self, index: usize) {
        let result = &mut self.record.results[index];
        let matching = self
            .open
            .take_if(|open| open.case == result.case && open.round == result.round);
        let Some(mut open) = matching else { return };
        let mut detail = serde_json::Map::new();
        result.directories = open
            .tasks
            .iter()
            .map(|task| task.directory.clone())
            .collect();
        let whole: Vec<bool> = open
            .tasks
            .iter_mut()
            .map(|task| {
                task.end_files(&mut self.disk);
                let whole = task.finish(&mut self.disk);
                let lines = task.lines.take_results();
                result
                    .result_lines
                    .extend(lines.into_iter().map(|line| (task.node.clone(), line)));
                whole
            })
            .collect();
        let mut report = format!("Testcase {} round {}\n", result.case, result.round);
        for (task, whole) in open.tasks.iter().zip(whole) {
            let facts = self
                .record
                .nodes
                .iter()
                .find(|node| node.name == task.node)
                .and_then(|node| node.facts.as_ref());
            let samples = format!("{}/{SAMPLES}", task.directory);
            let path = self.directory.join(&samples);
            if whole
                && worthwhile(&path)
                && let Err(error) = compact(&path)
            {
                self.disk.problem(format!(
                    "`{samples}` could not be made smaller: {}",
                    plain(&error)
                ));
            }
            let classic = classic::monitor_logs(
                &mut self.disk,
                &self.directory,
                &task.directory,
                facts,
                result.window,
                &self.clock,
            )
            .or_else(|error| match error.kind() {
                // A case without samples has no monitor logs either.
                io::ErrorKind::NotFound => Ok(Classic::default()),
                _ => Err(error),
            })
            .unwrap_or_else(|error| {
                self.disk.lost(&samples, &error);
                Classic::default()
            });
            let part = NodeResult::of(result, &task.node, task.node_rank);
            let lines: Vec<&str> = part
                .result
                .result_lines
                .iter()
                .map(|(_, l)| l.as_str())
                .collect();
            detail.insert(task.node.to_string(), classic.detail(&lines));
            report.push_str(&classic.report(&task.node, task.node_rank, &lines));
            self.disk.replace(
                &format!("{}/{RESULT}", task.directory),
                &json(&part),
                Durability::Process,
            );
        }
        let key = if result.round == 1 {
            result.case.to_string()
        } else {
            format!("{}#round{}", result.case, result.round)
        };
        let before = fs::read_to_string(self.directory.join(DETAIL)).unwrap_or_default();
        let detail = classic::add_member(&before, &key, &detail.into());
        self.disk
            .replace(DETAIL, detail.as_bytes(), Durability::Process);
        self.report.push_str(&report);
    }

    fn final_report(&mut self) {
        self.say(
            Level::Info,
            "========= Step 3: Collect logs in the cluster. =========",
        );
        let directory = self.directory.display().to_string();
        self.say(
            Level::Info,
            &if self.disk.problems().is_empty() {
                format!("Congrats! See all logs in {directory}")
            } else {
                format!("Sorry! Not all logs have been collected in {directory}")
            },
        );
        self.say(Level::Info, "3) analysis logs");
        let report = std::mem::take(&mut self.report);
        for line in report.lines() {
            self.say(Level::Info, line);
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

/// Is a samples file so large that it pays to make it smaller? Each rewrite waits for the disk, which
/// adds up over many nodes after a short case.
fn worthwhile(samples: &Path) -> bool {
    // One that cannot be looked at is left to `compact`, which tells why.
    fs::metadata(samples).map_or(true, |found| found.len() > LEFT_ALONE)
}

fn find(open: &mut Option<OpenCase>, node_rank: u32) -> Option<&mut TaskFiles> {
    open.as_mut()?
        .tasks
        .iter_mut()
        .find(|task| task.node_rank == node_rank)
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
