//! Starting the processes of a task.

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use flagperf_model::{Limits, ProcessSpec};
use flagperf_wire::{FromAgent, ProcessEnd, TaskId};

use crate::channel::Pump;
use crate::mono_ns;
use crate::placeholders::filled_in;
use crate::serve::Agent;
use crate::spawn;
use crate::task::{Rank, Task};

/// Width of a rank's pipe, in bytes.
const PIPE: usize = 512 << 10;

impl Agent {
    /// Starts the processes of the task that was made ready.
    pub(crate) fn start_task(&mut self, id: TaskId, processes: &[ProcessSpec], limits: Limits) {
        let Some(prepared) = self.prepared.take_if(|prepared| prepared.task == id) else {
            return self.refuse(id, "the task was not prepared".to_owned());
        };
        let cwd = prepared.cwd.as_deref();
        if self.task.is_some() {
            let reason = "a task is running already; an agent runs one at a time";
            return self.refuse(id, reason.to_owned());
        }
        let shared = if processes.len() > 1 {
            match spawn::shared_file() {
                Ok(file) => Some(file),
                Err(error) => {
                    let reason = format!("no memory file for the ranks could be made: {error}");
                    return self.refuse(id, reason);
                }
            }
        } else {
            None
        };
        let bytes_read = Arc::new(AtomicU64::new(0));
        let mut ranks = Vec::with_capacity(processes.len());
        for (place, process) in processes.iter().enumerate() {
            let out = prepared.out.as_deref();
            let filled_in = match cwd.filter(|_| prepared.is_copy) {
                Some(copy) => filled_in(process, copy, out).map(Cow::Owned),
                None => Ok(Cow::Borrowed(process)),
            };
            let started = self.reaper.spawning(|| {
                let process = filled_in
                    .as_deref()
                    .map_err(|why| io::Error::other(why.clone()))?;
                let (pipe, output) = io::pipe()?;
                // A wider pipe lets a rank that floods it write on while we read. Where the user may
                // not have so much, the usual width will do.
                let _ = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE);
                let place = spawn::Place {
                    cwd,
                    out,
                    shared: shared.as_ref(),
                };
                let streams = spawn::Streams::into_one(output)?;
                spawn::start(process, streams, &place).map(|pid| (pid, pipe))
            });
            let pid = match started {
                Ok((pid, pipe)) => {
                    let pump = Pump {
                        pipe,
                        task: id,
                        rank: process.rank,
                        place,
                        credit: Arc::clone(&self.credit),
                        pack: self.pack,
                        outbox: self.outbox.clone(),
                        inputs: self.inputs.clone(),
                        bytes_read: Arc::clone(&bytes_read),
                    };
                    pump.start();
                    Some(pid)
                }
                Err(error) => {
                    self.outbox.send(&FromAgent::Exited {
                        task: id,
                        rank: process.rank,
                        end: ProcessEnd::NotStarted {
                            program: program_of(filled_in.as_deref().unwrap_or(process), cwd),
                            reason: error.to_string(),
                        },
                        asked: false,
                        mono_ns: mono_ns(),
                    });
                    None
                }
            };
            ranks.push(Rank {
                number: process.rank,
                pid,
                ended: false,
                output_open: pid.is_some(),
            });
        }
        self.outbox.send(&FromAgent::Started {
            task: id,
            mono_ns: mono_ns(),
        });
        self.task = Some(Task::new(
            id,
            limits,
            ranks,
            bytes_read,
            Arc::clone(&self.credit),
            Instant::now(),
        ));
    }
}

fn program_of(process: &ProcessSpec, cwd: Option<&Path>) -> String {
    spawn::program_path(process, cwd).display().to_string()
}
