//! Where the notes about a tool come together: one run of it at a time, from its start to its end.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, PipeReader, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use flagperf_accel::StatusReader;
use flagperf_host::{Root, process};
use flagperf_model::{FIELDS, INTERVAL_MS, ProcessSpec, StatusTool};
use flagperf_wire::ProcessEnd;
use rustix::process::Signal;

use super::{Note, Order};
use crate::channel::Credit;
use crate::ending::{belonging, living_below, signal_all};
use crate::input::Input;
use crate::tools;

/// Bytes of lines that may wait for this thread. A tool that writes more is held up.
const WAITING: u64 = 256 << 10;

/// Bytes of a line that are looked at.
const LONGEST_LINE: usize = 64 << 10;

/// When a tool has ended, what is still in its pipe is waited for this long; then whoever else holds it is ended.
const DRAIN: Duration = Duration::from_millis(500);

/// A tool that SIGKILL has not ended within this time waits in the kernel.
const UNKILLABLE: Duration = Duration::from_millis(500);

/// Characters of a tool's words that are told.
const WORDS: usize = 200;

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

/// One run of a tool.
pub(super) struct Run {
    id: u64,
    /// Process id and start, once it has started.
    process: Option<(u32, u64)>,
    /// When it was asked for.
    pub(super) begun: Instant,
    pub(super) reader: StatusReader,
    /// Lines since the last that was of use.
    pub(super) lines: usize,
    /// The first line that the reader could do nothing with.
    words: Option<String>,
    credit: Arc<Credit>,
    closed: bool,
    /// How it ended, and when that was heard.
    end: Option<(ProcessEnd, Instant)>,
}

impl Run {
    /// Remembers a line that the reader could do nothing with.
    pub(super) fn note(&mut self, line: &str) {
        let line = line.trim();
        if self.words.is_none() && !line.is_empty() {
            let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
            self.words = Some(line.chars().take(WORDS).map(visible).collect());
        }
    }

    /// How it ended, in words: `failed (exit status 9): …`.
    pub(super) fn ending(&self) -> String {
        let end = match self.end {
            Some((ProcessEnd::Status(0), _)) if self.words.is_none() => {
                return "printed nothing".to_owned();
            }
            Some((ProcessEnd::Status(0), _)) => "printed nothing that can be read".to_owned(),
            Some((ProcessEnd::Status(status), _)) => format!("failed (exit status {status})"),
            Some((ProcessEnd::Signal(signal), _)) => format!("was ended by signal {signal}"),
            Some((ProcessEnd::NotStarted { .. }, _)) | None => "ended".to_owned(),
        };
        match &self.words {
            Some(words) => format!("{end}: {words}"),
            None => end,
        }
    }
}

/// The place.
pub(super) struct Desk {
    notes: Sender<Note>,
    received: Receiver<Note>,
    inputs: Sender<Input>,
    next: u64,
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
        // If nobody takes it, the session is over, which `wait` will find.
        let _ = self.inputs.send(Input::StartTool(order));
        let credit = Arc::new(Credit::new());
        credit.give(WAITING);
        Some(Run {
            id: self.next,
            process: None,
            begun: Instant::now(),
            reader,
            lines: 0,
            words: None,
            credit,
            closed: false,
            end: None,
        })
    }

    /// Waits for an order alone.
    pub(super) fn wait(&mut self, until: Option<Instant>) -> Heard {
        self.hear(None, until)
    }

    /// Waits for what comes next, of a run or of the controller.
    pub(super) fn hear(&mut self, mut run: Option<&mut Run>, until: Option<Instant>) -> Heard {
        loop {
            let draining = run.as_ref().and_then(|run| {
                let (_, at) = run.end.as_ref()?;
                Some(*at + DRAIN)
            });
            if let Some(run) = &run
                && run.end.is_some()
                && (run.closed || draining.is_some_and(|end| Instant::now() >= end))
            {
                if !run.closed {
                    self.signal(run);
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
            self.signal(&run);
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

    /// SIGKILL to a run's process and all that belongs to it.
    fn signal(&self, run: &Run) {
        if let Some(process) = run.process {
            end(process);
        }
    }
}

/// SIGKILL to a process, if it is still the same one, to all below it, and to all of the group that it began: its
/// children are the agent's own once it has ended.
fn end((pid, starttime): (u32, u64)) {
    let root = Root::new("/");
    if process(&root, pid).is_some_and(|now| now.starttime != starttime) {
        return;
    }
    let processes = living_below(&root, std::process::id());
    let own: Vec<_> = belonging(&processes, &[pid])
        .filter(|(_, belongs)| *belongs)
        .map(|(process, _)| process.clone())
        .collect();
    signal_all(&root, &own, Signal::KILL);
}

/// The process of a tool.
fn process_of(tool: &StatusTool, fields: &[String], interval: Option<Duration>) -> ProcessSpec {
    let fields = fields.join(",");
    let command = tool
        .command
        .iter()
        .map(|word| word.replace(FIELDS, &fields));
    let repeat = interval.map(|interval| interval.as_millis().max(1).to_string());
    let repeat = repeat.iter().flat_map(|millis| {
        let words = tool.repeat.iter();
        words.map(|word| word.replace(INTERVAL_MS, millis))
    });
    let argv = command.chain(repeat).collect();
    let mut env = tool.env.clone();
    // Numbers and words as its reader knows them, whatever the language of the machine.
    env.insert("LC_ALL".to_owned(), "C".to_owned());
    ProcessSpec {
        rank: 0,
        argv,
        env,
        cwd: None,
        cpus: Vec::new(),
    }
}

/// What a line costs of what may wait.
fn cost(line: &str) -> u64 {
    line.len() as u64 + 64
}

/// Starts the thread that reads a tool's pipe.
fn pump(run: u64, mut output: PipeReader, credit: Arc<Credit>, notes: Sender<Note>) {
    thread::spawn(move || {
        let mut bytes = vec![0; 16 << 10];
        let mut line: Vec<u8> = Vec::new();
        let say = |at, line: &mut Vec<u8>| {
            let text = String::from_utf8_lossy(line).into_owned();
            line.clear();
            credit.spend(cost(&text));
            let line = text;
            notes.send(Note::Line { run, at, line }).is_ok()
        };
        'reading: loop {
            let count = match output.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            let at = Instant::now();
            for piece in bytes[..count].split_inclusive(|byte| *byte == b'\n') {
                let room = LONGEST_LINE.saturating_sub(line.len());
                line.extend_from_slice(&piece[..piece.len().min(room)]);
                if piece.ends_with(b"\n") && !say(at, &mut line) {
                    break 'reading;
                }
            }
        }
        if !line.is_empty() {
            say(Instant::now(), &mut line);
        }
        let _ = notes.send(Note::Closed { run });
    });
}
