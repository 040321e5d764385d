//! The chips of the node: a thread that looks for them once, and samples them while cases run.
//!
//! What a vendor's tool does takes its time, and may block for good in a driver. So nobody waits for it but this
//! thread: it asks the thread that owns the agent's state to start the tool, hears its lines from another that
//! reads its pipe, and ends it when it keeps silent. Samples have the moments at which the tool spoke, and go
//! apart from those of the machine, which go on meanwhile.

mod desk;
mod find;
mod run;
mod sampler;
mod timeline;
mod warnings;

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use flagperf_accel::Census;
use flagperf_model::{Absent, ChipFacts, ChipWatch, SeriesDecl, StatusTool};
use flagperf_wire::{ClockAnchor, ProcessEnd, TaskId};

use crate::channel::Outbox;
use crate::input::Input;
use crate::sampling::{Sampling, ToolUse};
use crate::tools::Started;

use desk::{Desk, Heard};
use sampler::Sampler;

/// What reaches the thread.
#[derive(Debug)]
pub(crate) enum Note {
    /// The controller wants something.
    Order(Order),
    /// A tool was started, or could not be.
    Started {
        run: u64,
        started: io::Result<Started>,
    },
    /// It wrote a line, and when.
    Line { run: u64, at: Instant, line: String },
    /// Nobody can write for it any more.
    Closed { run: u64 },
    /// It has ended.
    Ended {
        run: u64,
        end: ProcessEnd,
        /// Processor time of it and its children, in seconds.
        cpu_s: f64,
    },
}

/// What the controller wants of the thread.
#[derive(Debug)]
pub(crate) enum Order {
    /// Begin to sample.
    Start { interval: Duration },
    /// Stop; `sampling` is to tell that it is over.
    Stop { task: TaskId, sampling: Sampling },
}

/// What looking for chips came to.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The chips.
    pub(crate) chips: Vec<ChipFacts>,
    /// Their series.
    pub(crate) series: Vec<SeriesDecl>,
    /// What they lack, and why; or why there are none, where that is of interest.
    pub(crate) absent: Vec<Absent>,
}

/// The thread's controls.
pub(crate) struct Chips {
    notes: Sender<Note>,
}

/// What can be sampled.
struct Sampled {
    tool: StatusTool,
    /// What the tool can be asked for.
    fields: Vec<String>,
    census: Census,
    /// How long its first answer took.
    took: Duration,
}

impl Chips {
    /// Starts the thread, which looks for chips at once and tells the agent what it found.
    pub(crate) fn look(
        watch: ChipWatch,
        clock: ClockAnchor,
        started: Instant,
        outbox: Outbox,
        inputs: Sender<Input>,
    ) -> Self {
        let (notes, received) = channel();
        let mut desk = Desk::new(notes.clone(), received, inputs.clone());
        thread::spawn(move || {
            let (sampled, found) = find::look(&mut desk, &watch);
            if inputs.send(Input::Chips(found)).is_ok()
                && let Some(sampled) = sampled
            {
                live(desk, Sampler::new(sampled, clock, started, outbox));
            }
        });
        Self { notes }
    }

    /// Begins to sample, no faster than the tool can.
    pub(crate) fn start(&self, interval: Duration) {
        let _ = self.notes.send(Note::Order(Order::Start { interval }));
    }

    /// Ends the tool and stops, then has `sampling` tell that all is over.
    pub(crate) fn stop(&self, task: TaskId, sampling: &Sampling) {
        let order = Order::Stop {
            task,
            sampling: sampling.clone(),
        };
        if self.notes.send(Note::Order(order)).is_err() {
            sampling.stop(task, ToolUse::default());
        }
    }
}

/// Samples whenever that is asked for, until the session is over.
fn live(mut desk: Desk, mut sampler: Sampler) {
    loop {
        match desk.wait(None) {
            Heard::Order(Order::Start { interval }) => {
                let Some((task, sampling)) = sampler.run(&mut desk, interval) else {
                    return;
                };
                sampling.stop(task, sampler.used(&mut desk));
            }
            Heard::Order(Order::Stop { task, sampling }) => {
                sampling.stop(task, ToolUse::default());
            }
            Heard::Gone => return,
            Heard::Line { .. } | Heard::Over | Heard::NotStarted(_) | Heard::Due => {}
        }
    }
}
