//! Where the notes about a tool come together: one run of it at a time, from its start to its end.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use flagperf_accel::StatusReader;
use flagperf_model::StatusTool;

use super::run::{Run, cost, end, process_of, pump};
use super::{Note, Order};
use crate::input::Input;
use crate::tools;

/// When a tool has ended, what is still in its pipe is waited for this long; then whoever else holds it is ended.
const DRAIN: Duration = Duration::from_millis(500);

/// A tool that SIGKILL has not ended within this time waits in the kernel.
const UNKILLABLE: Duration = Duration::from_millis(500);

/// What was heard.
pub(super) enum Heard {
    /// A line of the tool's output, and when it came.
    Line { at: Instant, line: String },
    /// The tool has ended, and all its output was heard.
    Over,
    /// It could not be started.
    NotStarted(io::Error),
    /// Nothing until the moment that was asked for.
    Due,
    /// The controller wants something.
    Order(Order),
    /// The session is over.
    Gone,
}

/// The place.
pub(super) struct Desk {
    notes: Sender<Note>,
    received: Receiver<Note>,
    inputs: Sender<Input>,
    next: u64,
    /// True once nobody is there to start a tool: the session is over.
    gone: bool,
    /// Orders that came while none could be taken.
    later: VecDeque<Order>,
    /// True while none can.
    busy: bool,
    /// Runs that SIGKILL did not end.
    stuck: BTreeSet<u64>,
    /// Processor time of tools that have ended, in seconds.
    cpu_s: f64,
}

impl Desk {
    pub(super) fn new(
        notes: Sender<Note>,
        received: Receiver<Note>,
        inputs: Sender<Input>,
    ) -> Self {
        Self {
            notes,
            received,
            inputs,
            next: 0,
            gone: false,
            later: VecDeque::new(),
            busy: false,
            stuck: BTreeSet::new(),
            cpu_s: 0.0,
        }
    }

    /// True while a tool is there that could not be ended. No other is started beside it.
    pub(super) fn is_stuck(&self) -> bool {
        !self.stuck.is_empty()
    }

    /// Processor time of tools that have ended since this was asked last, in seconds.
    pub(super) fn take_cpu_s(&mut self) -> f64 {
        std::mem::take(&mut self.cpu_s)
    }

    /// Does something during which no order can be taken; those that come are put off.
    pub(super) fn undisturbed<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.busy, true);
        let result = work(self);
        self.busy = before;
        result
    }

    /// Has a tool started; `interval` is the time between two samples if it is to go on by itself. `None` if it has
    /// no reader.
    pub(super) fn start(
        &mut self,
        tool: &StatusTool,
        fields: &[String],
        interval: Option<Duration>,
    ) -> Option<Run> {
        let reader = StatusReader::named(&tool.reader)?;
        self.next += 1;
        let order = tools::Order {
            run: self.next,
            process: process_of(tool, fields, interval),
            search: tool.search.clone(),
            notes: self.notes.clone(),
        };
        self.gone = self.inputs.send(Input::StartTool(order)).is_err();
        Some(Run::new(self.next, reader))
    }

    /// Waits for an order alone.
    pub(super) fn wait(&mut self, until: Option<Instant>) -> Heard {
        self.hear(None, until)
    }

    /// Waits for what comes next, of a run or of the controller.
    pub(super) fn hear(&mut self, mut run: Option<&mut Run>, until: Option<Instant>) -> Heard {
        loop {
            if self.gone {
                return Heard::Gone;
            }
            let draining = run.as_ref().and_then(|run| {
                let (_, at) = run.end.as_ref()?;
                Some(*at + DRAIN)
            });
            if let Some(run) = &run
                && run.end.is_some()
                && (run.closed || draining.is_some_and(|end| Instant::now() >= end))
            {
                if !run.closed {
                    run.signal();
                }
                return Heard::Over;
            }
            if !self.busy
                && let Some(order) = self.later.pop_front()
            {
                return Heard::Order(order);
            }
            let due = [until, draining].into_iter().flatten().min();
            let note = match due {
                None => self
                    .received
                    .recv()
                    .map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => {
                    let left = due.saturating_duration_since(Instant::now());
                    self.received.recv_timeout(left)
                }
            };
            match note {
                Ok(note) => {
                    if let Some(heard) = self.take(run.as_deref_mut(), note) {
                        return heard;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    if until.is_some_and(|until| Instant::now() >= until) {
                        return Heard::Due;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Heard::Gone,
            }
        }
    }

    fn take(&mut self, run: Option<&mut Run>, note: Note) -> Option<Heard> {
        let of = match &note {
            Note::Order(_) => None,
            Note::Started { run, .. }
            | Note::Line { run, .. }
            | Note::Closed { run }
            | Note::Ended { run, .. } => Some(*run),
        };
        let run = run.filter(|run| Some(run.id) == of);
        match (note, run) {
            (Note::Order(order), _) if self.busy => {
                self.later.push_back(order);
                None
            }
            (Note::Order(order), _) => Some(Heard::Order(order)),
            (
                Note::Started {
                    started: Err(error),
                    ..
                },
                Some(_),
            ) => Some(Heard::NotStarted(error)),
            (
                Note::Started {
                    started: Ok(started),
                    ..
                },
                Some(run),
            ) => {
                run.process = Some((started.pid, started.starttime));
                pump(
                    run.id,
                    started.output,
                    Arc::clone(&run.credit),
                    self.notes.clone(),
                );
                None
            }
            (Note::Line { at, line, .. }, Some(run)) => {
                run.credit.give(cost(&line));
                run.lines += 1;
                Some(Heard::Line { at, line })
            }
            (Note::Closed { .. }, Some(run)) => {
                run.closed = true;
                None
            }
            (Note::Ended { end, cpu_s, .. }, run) => {
                self.cpu_s += cpu_s;
                self.stuck.retain(|id| Some(*id) != of);
                if let Some(run) = run {
                    run.end = Some((end, Instant::now()));
                }
                None
            }
            // One that was given up before it had started.
            (
                Note::Started {
                    started: Ok(started),
                    ..
                },
                None,
            ) => {
                self.stuck.extend(of);
                end((started.pid, started.starttime));
                None
            }
            (Note::Started { .. } | Note::Line { .. } | Note::Closed { .. }, None) => None,
        }
    }

    /// Ends a run and all that it started. False if it could not be ended.
    pub(super) fn end(&mut self, mut run: Run) -> bool {
        if run.process.is_none() && run.end.is_none() {
            // Whoever owns the agent's state has not come to start it yet. It is ended when it does.
            return true;
        }
        if run.end.is_none() {
            run.signal();
        }
        // Its lines are of no use any more, and must not hold up who reads them.
        run.credit.give(1 << 40);
        let until = Instant::now() + UNKILLABLE;
        let ended = self.undisturbed(|desk| {
            loop {
                match desk.hear(Some(&mut run), Some(until)) {
                    Heard::Over | Heard::NotStarted(_) | Heard::Gone => break true,
                    Heard::Line { .. } | Heard::Order(_) => {}
                    Heard::Due => break false,
                }
            }
        });
        if !ended {
            self.stuck.insert(run.id);
        }
        ended
    }
}
