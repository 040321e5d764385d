//! The files of one case on one node while it runs, and its result file afterwards.

use std::path::{Component, Path};

use flagperf_archive::Unpacker;
use flagperf_model::{CaseResult, NodeName, NodeTask, SampleBlock, SeriesDecl};
use serde::{Deserialize, Serialize};

use crate::disk::{Appender, Disk, Weight};
use crate::lines::Lines;
use crate::samples::Writer;

/// Name and version of the format of [`NodeResult`].
pub const NODE_RESULT_SCHEMA: &str = "flagperf.result/1";

/// Name of the samples file in a task's directory.
pub(crate) const SAMPLES: &str = "samples.fps";
/// Name of the result file in a task's directory.
pub(crate) const RESULT: &str = "result.json";

/// Name of the directory that receives the files that a task left.
pub(crate) const FILES: &str = "files";

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

impl NodeResult {
    /// Cuts a node's part out of a result.
    pub(crate) fn of(result: &CaseResult, node: &NodeName, node_rank: u32) -> Self {
        let mut part = result.clone();
        part.measurements.retain(|(name, _)| name == node);
        part.result_lines.retain(|(name, _)| name == node);
        part.notes.retain(|(name, _, _)| name == node);
        part.monitor_cost.retain(|(name, _)| name == node);
        Self {
            schema: NODE_RESULT_SCHEMA.to_owned(),
            node: node.clone(),
            node_rank,
            result: part,
        }
    }
}

/// Open files of a task.
#[derive(Debug)]
pub(crate) struct TaskFiles {
    pub(crate) node: NodeName,
    pub(crate) node_rank: u32,
    pub(crate) directory: String,
    output: Appender,
    pub(crate) lines: Lines,
    series: Vec<SeriesDecl>,
    samples: Option<(Writer, Appender)>,
    /// What the task left on its node, while it is being unpacked.
    pub(crate) files: Option<Unpacker>,
}

impl TaskFiles {
    /// Opens the output file of a task whose directory exists.
    pub(crate) fn open(disk: &mut Disk, task: &NodeTask, series: Vec<SeriesDecl>) -> Self {
        Self {
            node: task.node.clone(),
            node_rank: task.node_rank,
            directory: task.directory.clone(),
            output: Appender::open(
                disk,
                &format!("{}/{}", task.directory, task.log),
                Weight::Bulk,
            ),
            lines: Lines::default(),
            series,
            samples: None,
            files: None,
        }
    }

    pub(crate) fn output(&mut self, disk: &mut Disk, rank: u32, chunk: &[u8]) {
        let ready = self.lines.take(rank, chunk);
        self.output.append(disk, &ready);
    }

    pub(crate) fn samples(&mut self, disk: &mut Disk, block: &SampleBlock) {
        let name = format!("{}/{SAMPLES}", self.directory);
        let result = match &mut self.samples {
            Some((writer, file)) => writer.block(block).map(|bytes| file.append(disk, &bytes)),
            none => Writer::live(&self.series).and_then(|(writer, mut bytes)| {
                bytes.extend(writer.block(block)?);
                let mut file = Appender::open(disk, &name, Weight::Bulk);
                file.append(disk, &bytes);
                *none = Some((writer, file));
                Ok(())
            }),
        };
        if let Err(error) = result {
            disk.lost(&name, &error);
        }
    }

    /// Waits until the files that have come are unpacked.
    pub(crate) fn end_files(&mut self, disk: &mut Disk) {
        let Some(unpacker) = self.files.take() else {
            return;
        };
        let name = format!("{}/{FILES}", self.directory);
        match unpacker.finish() {
            Ok(unpacked) => {
                for problem in unpacked.problems {
                    disk.problem(format!("`{name}`: {problem}"));
                }
            }
            Err(error) => disk.lost(&name, &error),
        }
    }

    /// Writes what is still waiting. True if there is a whole samples file.
    pub(crate) fn finish(&mut self, disk: &mut Disk) -> bool {
        let rest = self.lines.finish();
        self.output.append(disk, &rest);
        self.samples.as_ref().is_some_and(|(_, file)| file.whole())
    }
}

/// True for a path that stays inside the run directory.
pub(crate) fn inside(relative: &str) -> bool {
    let mut parts = Path::new(relative).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}
