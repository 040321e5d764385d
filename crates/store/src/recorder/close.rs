//! The end of a case: its files are completed, the classic files made from them.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flagperf_model::NodeName;

use super::{DETAIL, Recorder, json};
use crate::classic::{self, Classic};
use crate::disk::{Durability, plain};
use crate::readable::Level;
use crate::samples::compact;
use crate::task::{Parts, RESULT, SAMPLES};

/// Files that are rewritten at the same time. Most of it is waiting for the disk, which syncs several
/// files in nearly the time of one.
const AT_ONCE: usize = 16;

/// A samples file up to this is not made smaller, in bytes: some minutes of samples once a second.
const LEFT_ALONE: u64 = 64 << 10;

impl Recorder {
    /// Flushes and completes the files of the case whose result is at `index`.
    pub(super) fn close_case(&mut self, index: usize) {
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
        let whole: Vec<String> = open
            .tasks
            .iter_mut()
            .flat_map(|task| {
                task.files_cut_off(&mut self.disk);
                let whole = task.finish(&mut self.disk);
                let lines = task.lines.take_results();
                result
                    .result_lines
                    .extend(lines.into_iter().map(|line| (task.node.clone(), line)));
                whole
            })
            .collect();
        let whole: Vec<PathBuf> = whole
            .iter()
            .map(|name| self.directory.join(name))
            .filter(|path| is_worthwhile(path))
            .collect();
        for (path, error) in compact_all(&whole) {
            let samples = path.strip_prefix(&self.directory).unwrap_or(path);
            self.disk.problem(format!(
                "`{}` could not be made smaller: {}",
                samples.display(),
                plain(&error)
            ));
        }
        let mut report = format!("Testcase {} round {}\n", result.case, result.round);
        let mut parts = Parts::new(result);
        let facts_of: HashMap<&NodeName, _> = self
            .record
            .nodes
            .iter()
            .map(|node| (&node.name, node.facts.as_ref()))
            .collect();
        for task in &open.tasks {
            let facts = facts_of.get(&task.node).copied().flatten();
            let samples = format!("{}/{SAMPLES}", task.directory);
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
            let part = parts.take(task);
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

    pub(super) fn final_report(&mut self) {
        self.say(
            Level::Info,
            "========= Step 3: Collect logs in the cluster. =========",
        );
        self.say(Level::Info, "1) merge logs from all nodes to master");
        let directory = self.directory.display().to_string();
        self.say(
            Level::Info,
            &if self.disk.problems().is_empty() {
                format!("Congrats! See all logs in {directory}")
            } else {
                format!("Sorry! Not all logs have been collected in {directory}")
            },
        );
        self.say(Level::Info, "2) summary logs");
        self.say(Level::Info, "3) analysis logs");
        let report = std::mem::take(&mut self.report);
        for line in report.lines() {
            self.say(Level::Info, line);
        }
    }
}

/// Is a samples file so large that it pays to make it smaller? Each rewrite waits for the disk, which
/// adds up over many nodes after a short case.
fn is_worthwhile(samples: &Path) -> bool {
    // One that cannot be looked at is left to `compact`, which tells why.
    std::fs::metadata(samples).map_or(true, |found| found.len() > LEFT_ALONE)
}

/// Rewrites samples files; returns those where it failed.
fn compact_all(paths: &[PathBuf]) -> Vec<(&Path, io::Error)> {
    if paths.len() < 2 {
        return compact_each(paths);
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = paths
            .chunks(paths.len().div_ceil(AT_ONCE))
            .map(|paths| scope.spawn(move || compact_each(paths)))
            .collect();
        // A thread that panicked leaves its files as they were, which is no loss.
        let failed = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_default());
        failed.collect()
    })
}

fn compact_each(paths: &[PathBuf]) -> Vec<(&Path, io::Error)> {
    let failed = paths
        .iter()
        .filter_map(|path| Some((path.as_path(), compact(path).err()?)));
    failed.collect()
}
