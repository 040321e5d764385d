//! Status tools of chips that run: started and reaped by the thread that owns the agent's state, so that it knows
//! which processes are no part of a task.

use std::io::{self, PipeReader};
use std::path::Path;
use std::sync::mpsc::Sender;

use flagperf_host::{Root, process};
use flagperf_model::ProcessSpec;
use flagperf_wire::ProcessEnd;

use crate::chips::Note;
use crate::reaper::Reaper;
use crate::spawn;

/// A tool that is to be started.
#[derive(Debug)]
pub(crate) struct Order {
    /// Which run of a tool this is.
    pub(crate) run: u64,
    pub(crate) process: ProcessSpec,
    /// Directories that are searched for the program when it is not found otherwise.
    pub(crate) search: Vec<String>,
    /// Who is told what becomes of it.
    pub(crate) notes: Sender<Note>,
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: u32,
    /// When, which with the process id names it for good.
    pub(crate) starttime: u64,
    /// All that it writes.
    pub(crate) output: PipeReader,
}

/// All tools that run.
#[derive(Debug, Default)]
pub(crate) struct Tools(Vec<Tool>);

#[derive(Debug)]
struct Tool {
    pid: u32,
    run: u64,
    notes: Sender<Note>,
}

impl Tools {
    /// Starts one.
    pub(crate) fn start(&mut self, order: &Order, reaper: &Reaper) {
        let started = reaper.spawning(|| {
            let started = start(order)?;
            reaper.count(started.pid);
            Ok(started)
        });
        if let Ok(started) = &started {
            self.0.push(Tool {
                pid: started.pid,
                run: order.run,
                notes: order.notes.clone(),
            });
        }
        let _ = order.notes.send(Note::Started {
            run: order.run,
            started,
        });
    }

    /// A child of the agent ended. True if it was one of these.
    pub(crate) fn reaped(&mut self, pid: u32, end: &ProcessEnd, cpu_s: Option<f64>) -> bool {
        let Some(place) = self.0.iter().position(|tool| tool.pid == pid) else {
            return false;
        };
        let tool = self.0.swap_remove(place);
        let _ = tool.notes.send(Note::Ended {
            run: tool.run,
            end: end.clone(),
            cpu_s: cpu_s.unwrap_or(0.0),
        });
        true
    }

    /// Those that run. They and all below them are no part of a task.
    pub(crate) fn pids(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|tool| tool.pid)
    }
}

/// Starts the program from the directories of `PATH`, or else from the first of the others that has it.
fn start(order: &Order) -> io::Result<Started> {
    let mut result = start_one(&order.process);
    for directory in &order.search {
        match (&result, order.process.argv.first()) {
            (Err(error), Some(program))
                if error.kind() == io::ErrorKind::NotFound && !program.contains('/') =>
            {
                let mut process = order.process.clone();
                process.argv[0] = Path::new(directory).join(program).display().to_string();
                result = start_one(&process);
            }
            _ => break,
        }
    }
    result
}

fn start_one(spec: &ProcessSpec) -> io::Result<Started> {
    let (output, inner) = io::pipe()?;
    // One pipe for both: what it says instead of values comes in order, on whichever of them.
    let streams = spawn::Streams::into_one(inner)?;
    let pid = spawn::start(spec, streams, &spawn::Place::default())?;
    let starttime = process(&Root::new("/"), pid).map_or(0, |process| process.starttime);
    Ok(Started {
        pid,
        starttime,
        output,
    })
}
