//! Processes whose standard streams are handed through to the controller: a container engine's client,
//! say, with an agent at its other end.
//!
//! Such a process is no part of a task. It ends with the session, or when its other end does.

use std::collections::BTreeMap;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use flagperf_model::ProcessSpec;
use flagperf_wire::{ChannelId, FromAgent, MAX_CHUNK, ProcessEnd};

use crate::channel::{Credit, Outbox};
use crate::input::Input;
use crate::reaper::Reaper;
use crate::spawn;

/// The last words on standard error that are kept, in bytes.
const LAST_WORDS: usize = 4096;

/// All such processes of a session.
pub(crate) struct Relays {
    open: BTreeMap<ChannelId, Relay>,
    credit: Arc<Credit>,
    outbox: Outbox,
    inputs: Sender<Input>,
}

struct Relay {
    pid: u32,
    /// Dropped to close its standard input.
    input: Option<Sender<Vec<u8>>>,
    end: Option<ProcessEnd>,
    /// Standard output and standard error that are not at their end yet.
    streams: u8,
    words: Arc<Mutex<Vec<u8>>>,
}

impl Relays {
    pub(crate) fn new(credit: Arc<Credit>, outbox: Outbox, inputs: Sender<Input>) -> Self {
        Self {
            open: BTreeMap::new(),
            credit,
            outbox,
            inputs,
        }
    }

    /// Starts a process behind a channel. That it could not be started is the channel's end.
    pub(crate) fn open(&mut self, id: ChannelId, process: &ProcessSpec, reaper: &Reaper) {
        match reaper.spawning(|| start(process)) {
            Ok((pid, input, output, errors)) => {
                let words = Arc::default();
                let (sender, pieces) = channel();
                self.open.insert(
                    id,
                    Relay {
                        pid,
                        input: Some(sender),
                        end: None,
                        streams: 2,
                        words: Arc::clone(&words),
                    },
                );
                self.start_input(id, input, pieces);
                self.start_output(id, output);
                start_errors(id, errors, words, self.inputs.clone());
            }
            Err(error) => self.outbox.send(&FromAgent::HungUp {
                channel: id,
                end: ProcessEnd::NotStarted {
                    program: process.argv.first().cloned().unwrap_or_default(),
                    reason: error.to_string(),
                },
                words: String::new(),
            }),
        }
    }

    /// Hands bytes to a process. One that is gone gets none.
    pub(crate) fn write(&self, id: ChannelId, bytes: Vec<u8>) {
        let input = self.open.get(&id).and_then(|relay| relay.input.as_ref());
        let taken = bytes.len() as u64;
        if input.is_none_or(|input| input.send(bytes).is_err()) {
            self.outbox.send(&FromAgent::Written {
                channel: id,
                bytes: taken,
            });
        }
    }

    /// Closes a process's standard input.
    pub(crate) fn hang_up(&mut self, id: ChannelId) {
        if let Some(relay) = self.open.get_mut(&id) {
            relay.input = None;
        }
    }

    /// A child of the agent ended. True if it was one of these.
    pub(crate) fn reaped(&mut self, pid: u32, end: &ProcessEnd) -> bool {
        let found = self
            .open
            .iter_mut()
            .find(|(_, relay)| relay.pid == pid && relay.end.is_none());
        let Some((&id, relay)) = found else {
            return false;
        };
        relay.end = Some(end.clone());
        self.tell_if_over(id);
        true
    }

    /// One of a process's output streams came to its end.
    pub(crate) fn stream_ended(&mut self, id: ChannelId) {
        if let Some(relay) = self.open.get_mut(&id) {
            relay.streams = relay.streams.saturating_sub(1);
        }
        self.tell_if_over(id);
    }

    /// Those that run. They and all below them are no part of a task.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.open.values().map(|relay| relay.pid).collect()
    }

    fn tell_if_over(&mut self, id: ChannelId) {
        let is_over = self
            .open
            .get(&id)
            .is_some_and(|relay| relay.end.is_some() && relay.streams == 0);
        if is_over
            && let Some(relay) = self.open.remove(&id)
            && let Some(end) = relay.end
        {
            let words = relay.words.lock().unwrap_or_else(PoisonError::into_inner);
            self.outbox.send(&FromAgent::HungUp {
                channel: id,
                end,
                words: String::from_utf8_lossy(&words).trim().to_owned(),
            });
        }
    }

    fn start_input(&self, id: ChannelId, mut input: PipeWriter, pieces: Receiver<Vec<u8>>) {
        let outbox = self.outbox.clone();
        thread::spawn(move || {
            let mut broken = false;
            for piece in pieces {
                // A process that reads no more is about to end, and tells why by that.
                broken = broken || input.write_all(&piece).is_err();
                outbox.send(&FromAgent::Written {
                    channel: id,
                    bytes: piece.len() as u64,
                });
            }
        });
    }

    fn start_output(&self, id: ChannelId, mut output: PipeReader) {
        let credit = Arc::clone(&self.credit);
        let outbox = self.outbox.clone();
        let inputs = self.inputs.clone();
        thread::spawn(move || {
            let mut bytes = vec![0; MAX_CHUNK];
            while let Some(count) = read(&mut output, &mut bytes) {
                credit.spend(count as u64);
                outbox.send(&FromAgent::Said {
                    channel: id,
                    bytes: bytes[..count].to_vec().into(),
                });
            }
            let _ = inputs.send(Input::StreamEnded(id));
        });
    }
}

fn start_errors(
    id: ChannelId,
    mut errors: PipeReader,
    words: Arc<Mutex<Vec<u8>>>,
    inputs: Sender<Input>,
) {
    thread::spawn(move || {
        let mut bytes = [0; 1024];
        while let Some(count) = read(&mut errors, &mut bytes) {
            let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
            words.extend_from_slice(&bytes[..count]);
            let excess = words.len().saturating_sub(LAST_WORDS);
            words.drain(..excess);
        }
        let _ = inputs.send(Input::StreamEnded(id));
    });
}

/// The next bytes of a stream; `None` at its end.
fn read(stream: &mut PipeReader, bytes: &mut [u8]) -> Option<usize> {
    loop {
        match stream.read(bytes) {
            Ok(0) => return None,
            Ok(count) => return Some(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

fn start(process: &ProcessSpec) -> io::Result<(u32, PipeWriter, PipeReader, PipeReader)> {
    let (inner_input, input) = io::pipe()?;
    let (output, inner_output) = io::pipe()?;
    let (errors, inner_errors) = io::pipe()?;
    let streams = spawn::Streams {
        input: Stdio::from(inner_input),
        output: Stdio::from(inner_output),
        errors: Stdio::from(inner_errors),
    };
    let pid = spawn::start(process, streams, &spawn::Place::default())?;
    Ok((pid, input, output, errors))
}
