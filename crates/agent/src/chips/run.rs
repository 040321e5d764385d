//! One run of a status tool: its process, its lines, its end.

use std::io::{self, PipeReader, Read};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use flagperf_accel::StatusReader;
use flagperf_host::{Root, process};
use flagperf_model::{FIELDS, INTERVAL_MS, ProcessSpec, StatusTool};
use flagperf_wire::ProcessEnd;
use rustix::process::Signal;

use super::Note;
use crate::channel::Credit;
use crate::ending::{belonging, living_below, signal_all};

/// Bytes of lines that may wait to be looked at. A tool that writes more is held up.
const WAITING: u64 = 256 << 10;

/// Bytes of a line that are looked at.
const LONGEST_LINE: usize = 64 << 10;

/// Characters of a tool's words that are told.
const WORDS: usize = 200;

/// One run of a tool.
pub(super) struct Run {
    pub(super) id: u64,
    /// Process id and start, once it has started.
    pub(super) process: Option<(u32, u64)>,
    /// When it was asked for.
    pub(super) begun: Instant,
    pub(super) reader: StatusReader,
    /// Lines since the last that was of use.
    pub(super) lines: usize,
    /// The first line that the reader could do nothing with.
    words: Option<String>,
    /// Bytes of lines that may still wait.
    pub(super) credit: Arc<Credit>,
    /// True once nobody can write for it any more.
    pub(super) closed: bool,
    /// How it ended, and when that was heard.
    pub(super) end: Option<(ProcessEnd, Instant)>,
}

impl Run {
    /// One that was asked for just now.
    pub(super) fn new(id: u64, reader: StatusReader) -> Self {
        let credit = Credit::new();
        credit.give(WAITING);
        Self {
            id,
            process: None,
            begun: Instant::now(),
            reader,
            lines: 0,
            words: None,
            credit: Arc::new(credit),
            closed: false,
            end: None,
        }
    }

    /// SIGKILL to its process and all that belongs to it.
    pub(super) fn signal(&self) {
        if let Some(process) = self.process {
            end(process);
        }
    }

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

/// SIGKILL to a process, if it is still the same one, to all below it, and to all of the group that it began: its
/// children are the agent's own once it has ended.
pub(super) fn end((pid, starttime): (u32, u64)) {
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
pub(super) fn process_of(
    tool: &StatusTool,
    fields: &[String],
    interval: Option<Duration>,
) -> ProcessSpec {
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
pub(super) fn cost(line: &str) -> u64 {
    line.len() as u64 + 64
}

/// Starts the thread that reads a tool's pipe.
pub(super) fn pump(run: u64, mut output: PipeReader, credit: Arc<Credit>, notes: Sender<Note>) {
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
