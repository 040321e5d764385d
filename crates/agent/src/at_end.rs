//! Commands that undo what a session did outside its own processes, should nobody be there to ask for it
//! any more: they are run when the session ends, for whatever reason.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use flagperf_model::ProcessSpec;
use flagperf_wire::UndoId;

use crate::input::Input;
use crate::reaper::Reaper;
use crate::spawn;

/// How long one of them may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is to be undone, in the order in which it was done.
#[derive(Default)]
pub(crate) struct AtEnd(BTreeMap<UndoId, ProcessSpec>);

impl AtEnd {
    /// True if nothing is to be undone.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Remembers a command.
    pub(crate) fn remember(&mut self, id: UndoId, process: ProcessSpec) {
        self.0.insert(id, process);
    }

    /// It was done, and need not be done again.
    pub(crate) fn forget(&mut self, id: UndoId) {
        self.0.remove(&id);
    }

    /// Runs them, the last first.
    pub(crate) fn run(self, reaper: &Reaper, queue: &Receiver<Input>) {
        for process in self.0.into_values().rev() {
            let streams = spawn::Streams {
                input: Stdio::null(),
                output: Stdio::null(),
                errors: Stdio::null(),
            };
            let started =
                reaper.spawning(|| spawn::start(&process, streams, &spawn::Place::default()));
            if let Ok(pid) = started {
                await_end(pid, queue);
            }
        }
    }
}

fn await_end(pid: u32, queue: &Receiver<Input>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match queue.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Input::Reaped { pid: ended, .. }) if ended == pid => return,
            Ok(_) => {}
            // Time is up, which also ends the process: everything below the agent is ended next.
            Err(_) => return,
        }
    }
}
