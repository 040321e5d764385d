//! The files of one case on one node while it runs, and its result file afterwards.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Component, Path};

use flagperf_archive::{Links, Unpacker};
use flagperf_model::{CaseResult, NodeName, NodeRecord, NodeTask, SampleBlock, SeriesDecl};
use serde::{Deserialize, Serialize};

use crate::disk::{Appender, Disk, Weight};
use crate::lines::Lines;
use crate::samples::Writer;

/// Name and version of the format of [`NodeResult`].
pub const NODE_RESULT_SCHEMA: &str = "flagperf.result/1";

/// Name of the samples file in a task's directory.
pub(crate) const SAMPLES: &str = "samples.fps";
/// Name of the file with the samples of the chips, which have moments of their own.
pub(crate) const CHIP_SAMPLES: &str = "chips.fps";
/// Name of the result file in a task's directory.
pub(crate) const RESULT: &str = "result.json";
/// Name of the directory in a task's directory for files that the case left on the node.
const FILES: &str = "files";

/// The content of a node's `result.json`: the part of a case's result that belongs to this node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeResult {
    /// [`NODE_RESULT_SCHEMA`].
    pub schema: String,
    /// The node.
    pub node: NodeName,
    /// Its place in the list of nodes.
    pub node_rank: u32,
    /// The result, with the measurements, lines, notes and costs of this node only.
    pub result: CaseResult,
}

/// A result cut into the parts of its nodes, in one pass: with a pass for each node it would cost their
/// number squared.
#[derive(Debug)]
pub(crate) struct Parts {
    /// What all nodes share.
    common: CaseResult,
    of: HashMap<NodeName, CaseResult>,
}

impl Parts {
    pub(crate) fn new(result: &CaseResult) -> Self {
        let common = CaseResult {
            case: result.case.clone(),
            round: result.round,
            outcome: result.outcome.clone(),
            started: result.started,
            ended: result.ended,
            window: result.window,
            directories: Vec::new(),
            measurements: Vec::new(),
            result_lines: Vec::new(),
            notes: Vec::new(),
            monitor_cost: Vec::new(),
            tail: result.tail.clone(),
            start_skew: result.start_skew.clone(),
            collected: Vec::new(),
        };
        let mut parts = Self {
            common,
            of: HashMap::new(),
        };
        for one in &result.measurements {
            parts.part(&one.0).measurements.push(one.clone());
        }
        for one in &result.result_lines {
            parts.part(&one.0).result_lines.push(one.clone());
        }
        for one in &result.notes {
            parts.part(&one.0).notes.push(one.clone());
        }
        for one in &result.monitor_cost {
            parts.part(&one.0).monitor_cost.push(one.clone());
        }
        for one in &result.collected {
            parts.part(&one.0).collected.push(one.clone());
        }
        parts
    }

    fn part(&mut self, node: &NodeName) -> &mut CaseResult {
        self.of
            .entry(node.clone())
            .or_insert_with(|| self.common.clone())
    }

    /// Takes out the part of a task.
    pub(crate) fn take(&mut self, task: &TaskFiles) -> NodeResult {
        let part = self.of.remove(&task.node);
        let mut result = part.unwrap_or_else(|| self.common.clone());
        result.directories = vec![task.directory.clone()];
        NodeResult {
            schema: NODE_RESULT_SCHEMA.to_owned(),
            node: task.node.clone(),
            node_rank: task.node_rank,
            result,
        }
    }
}

/// The files that a case left on a node, on their way into the task's directory.
#[derive(Debug)]
enum Fetching {
    /// Nothing has come, or everything has.
    No,
    /// They are being unpacked.
    Into(Unpacker),
    /// They cannot be unpacked, which has been told.
    Impossible,
}

/// A file for output, of one rank or of several.
#[derive(Debug)]
struct Log {
    name: String,
    file: Appender,
    lines: Lines,
}

impl Log {
    fn open(disk: &mut Disk, directory: &str, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            file: Appender::open(disk, &format!("{directory}/{name}"), Weight::Bulk),
            lines: Lines::default(),
        }
    }
}

/// Open files of a task.
#[derive(Debug)]
pub(crate) struct TaskFiles {
    pub(crate) node: NodeName,
    pub(crate) node_rank: u32,
    pub(crate) directory: String,
    /// The task's own log first, if any rank writes into it.
    logs: Vec<Log>,
    /// Places of the logs of ranks that have one of their own.
    of_rank: BTreeMap<u32, usize>,
    samples: Stream,
    chips: Stream,
    fetching: Fetching,
}

/// A samples file that is made when the first samples come.
#[derive(Debug)]
struct Stream {
    /// Its name, relative to the run directory.
    name: String,
    series: Vec<SeriesDecl>,
    open: Option<(Writer, Appender)>,
}

impl Stream {
    fn new(name: String, series: Vec<SeriesDecl>) -> Self {
        Self {
            name,
            series,
            open: None,
        }
    }

    fn append(&mut self, disk: &mut Disk, block: &SampleBlock) {
        let result = match &mut self.open {
            Some((writer, file)) => writer.block(block).map(|bytes| file.append(disk, &bytes)),
            none => Writer::live(&self.series).and_then(|(writer, mut bytes)| {
                bytes.extend(writer.block(block)?);
                let mut file = Appender::open(disk, &self.name, Weight::Bulk);
                file.append(disk, &bytes);
                *none = Some((writer, file));
                Ok(())
            }),
        };
        if let Err(error) = result {
            disk.lost(&self.name, &error);
        }
    }

    /// True if there is a file with all that came.
    fn is_whole(&self) -> bool {
        self.open.as_ref().is_some_and(|(_, file)| file.whole())
    }
}

impl TaskFiles {
    /// Opens the output files of a task whose directory exists, on a node with these series.
    pub(crate) fn open(disk: &mut Disk, task: &NodeTask, node: &NodeRecord) -> Self {
        let stream = |file, series: &Vec<_>| {
            Stream::new(format!("{}/{file}", task.directory), series.clone())
        };
        let mut logs = Vec::new();
        // Where every rank has a file of its own nothing would come into a common one.
        let mut processes = task.processes.iter();
        if task.processes.is_empty()
            || processes.any(|process| !task.rank_logs.contains_key(&process.rank))
        {
            logs.push(Log::open(disk, &task.directory, &task.log));
        }
        let mut of_rank = BTreeMap::new();
        for (rank, name) in &task.rank_logs {
            let known = logs.iter().position(|log| log.name == *name);
            let place = known.unwrap_or_else(|| {
                logs.push(Log::open(disk, &task.directory, name));
                logs.len() - 1
            });
            of_rank.insert(*rank, place);
        }
        Self {
            node: task.node.clone(),
            node_rank: task.node_rank,
            directory: task.directory.clone(),
            logs,
            of_rank,
            samples: stream(SAMPLES, &node.series),
            chips: stream(CHIP_SAMPLES, &node.chip_series),
            fetching: Fetching::No,
        }
    }

    pub(crate) fn output(&mut self, disk: &mut Disk, rank: u32, chunk: &[u8]) {
        let place = self.of_rank.get(&rank).copied().unwrap_or(0);
        if let Some(log) = self.logs.get_mut(place) {
            let ready = log.lines.take(rank, chunk);
            log.file.append(disk, &ready);
        }
    }

    /// The last lines of its output, log after log.
    pub(crate) fn tail(&self) -> Vec<&str> {
        self.logs.iter().flat_map(|log| log.lines.tail()).collect()
    }

    /// The classic result lines so far, log after log.
    pub(crate) fn take_results(&mut self) -> Vec<String> {
        let logs = self.logs.iter_mut();
        logs.flat_map(|log| log.lines.take_results()).collect()
    }

    pub(crate) fn samples(&mut self, disk: &mut Disk, block: &SampleBlock) {
        self.samples.append(disk, block);
    }

    pub(crate) fn chip_samples(&mut self, disk: &mut Disk, block: &SampleBlock) {
        self.chips.append(disk, block);
    }

    /// Takes a piece of the archive of the files that the case left on the node.
    pub(crate) fn files(&mut self, disk: &mut Disk, run: &Path, chunk: Vec<u8>) {
        let name = format!("{}/{FILES}", self.directory);
        // What is left on a full disk belongs to the record.
        if disk.is_full() {
            return disk.lost(&name, &std::io::ErrorKind::StorageFull.into());
        }
        if let Fetching::No = self.fetching {
            let into = run.join(&name);
            let begun =
                fs::create_dir_all(&into).and_then(|()| Unpacker::new(&into, Links::Inside));
            self.fetching = match begun {
                Ok(unpacker) => Fetching::Into(unpacker),
                Err(error) => {
                    disk.lost(&name, &error);
                    Fetching::Impossible
                }
            };
        }
        if let Fetching::Into(unpacker) = &mut self.fetching {
            unpacker.push(chunk);
        }
    }

    /// Waits until the archive is unpacked; returns the number of files and of bytes.
    pub(crate) fn files_ended(&mut self, disk: &mut Disk) -> (u64, u64) {
        let Fetching::Into(unpacker) = std::mem::replace(&mut self.fetching, Fetching::No) else {
            return (0, 0);
        };
        let unpacked = unpacker.finish();
        for problem in unpacked.problems {
            disk.problem(format!("`{}/{FILES}`: {problem}", self.directory));
        }
        (unpacked.files, unpacked.bytes)
    }

    /// Ends an archive whose end has not come. What has arrived stays.
    pub(crate) fn files_cut_off(&mut self, disk: &mut Disk) {
        if let Fetching::Into(_) = self.fetching {
            let (files, bytes) = self.files_ended(disk);
            disk.problem(format!(
                "`{}/{FILES}` is not complete: the case ended before all files had arrived; {files} files, {bytes} bytes are there",
                self.directory
            ));
        }
    }

    /// Writes what is still waiting. Gives the samples files that are whole, relative to the run directory.
    pub(crate) fn finish(&mut self, disk: &mut Disk) -> Vec<String> {
        for log in &mut self.logs {
            let rest = log.lines.finish();
            log.file.append(disk, &rest);
        }
        let streams = [&self.samples, &self.chips].into_iter();
        let whole = streams.filter(|stream| stream.is_whole());
        whole.map(|stream| stream.name.clone()).collect()
    }
}

/// True for a path that stays inside the run directory.
pub(crate) fn inside(relative: &str) -> bool {
    let mut parts = Path::new(relative).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}
