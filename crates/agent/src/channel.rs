//! The threads at the two ends of the channel, and those that carry task output into it.

use std::fs;
use std::io::{PipeReader, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use flagperf_wire::{Decoder, FromAgent, MAX_CHUNK, Packer, TaskId, ToAgent, encode};

use crate::input::Input;

/// With so many bytes of frames unwritten, in bytes, the channel has fallen behind.
const BEHIND: usize = 2 * MAX_CHUNK;

/// A channel that takes less than this, in bytes per second, while processors are idle is held up by a network:
/// gigabit Ethernet carries 118 MB/s. One that takes more, or waits for processors, would only wait longer for
/// compressing, and so would the case that is measured.
const NETWORK: f64 = 150e6;

/// What is written before a rate is believed, in bytes: enough for a scheduler's whims to even out.
const BELIEVED: usize = 4 << 20;

/// For so long a slow channel gets compressed output before it is tried again without: compressing hides how
/// much it would take.
const HOLD: Duration = Duration::from_secs(1);

/// Where messages to the controller are put. Control messages are few and small and output needs
/// credit, so the queue behind it stays small without a bound of its own.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    frames: Sender<Vec<u8>>,
    /// Bytes of frames that are queued and not written yet.
    behind: Arc<AtomicUsize>,
    /// True if it takes less than [`NETWORK`] while frames wait.
    slow: Arc<AtomicBool>,
}

impl Outbox {
    /// Queues a message. A message that cannot be encoded or sent is dropped: the first cannot
    /// happen for messages of bounded size, and after the second the closed channel ends the agent.
    pub(crate) fn send(&self, message: &FromAgent) {
        if let Ok(frame) = encode(message) {
            self.behind.fetch_add(frame.len(), Ordering::Relaxed);
            let _ = self.frames.send(frame);
        }
    }

    /// True while a network takes less than it is given.
    fn is_behind(&self) -> bool {
        self.slow.load(Ordering::Relaxed) && self.behind.load(Ordering::Relaxed) >= BEHIND
    }
}

/// Starts the thread that writes frames to the controller.
pub(crate) fn start_writer(mut to: impl Write + Send + 'static, inputs: Sender<Input>) -> Outbox {
    let (sender, frames): (_, Receiver<Vec<u8>>) = channel();
    let behind = Arc::new(AtomicUsize::new(0));
    let queued = Arc::clone(&behind);
    let slow = Arc::new(AtomicBool::new(false));
    let is_slow = Arc::clone(&slow);
    thread::spawn(move || {
        let mut pace = Pace::default();
        for frame in frames {
            let waits = queued.load(Ordering::Relaxed) >= BEHIND;
            let began = Instant::now();
            if let Err(error) = to.write_all(&frame).and_then(|()| to.flush()) {
                let _ = inputs.send(Input::Closed(Some(format!(
                    "writing to the controller failed: {error}"
                ))));
                return;
            }
            queued.fetch_sub(frame.len(), Ordering::Relaxed);
            // A channel that keeps up is not measured: what it takes is what it is given.
            if waits && let Some(slow) = pace.written(frame.len(), began, Instant::now()) {
                is_slow.store(slow && !processors_are_short(), Ordering::Relaxed);
            }
        }
    });
    Outbox {
        frames: sender,
        behind,
        slow,
    }
}

/// True if more threads want to run now than this machine has processors.
fn processors_are_short() -> bool {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    // `0.20 0.18 0.12 RUNNABLE/ALL LAST`; this thread is one of them.
    fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| {
            let (runnable, _) = text.split_whitespace().nth(3)?.split_once('/')?;
            runnable.parse::<usize>().ok()
        })
        .is_some_and(|runnable| runnable > cores)
}

/// How fast a channel takes what it is given.
#[derive(Debug, Default)]
struct Pace {
    /// Bytes since the last judgement.
    bytes: usize,
    /// Time in which the channel was given them.
    writing: Duration,
    /// While it is held to be slow, until when.
    slow_until: Option<Instant>,
}

impl Pace {
    /// Takes in that so many bytes were written. Tells whether the channel is slow, when that has changed.
    fn written(&mut self, bytes: usize, began: Instant, ended: Instant) -> Option<bool> {
        if let Some(until) = self.slow_until {
            let over = ended >= until;
            if over {
                *self = Self::default();
            }
            return over.then_some(false);
        }
        self.bytes += bytes;
        self.writing += ended - began;
        if self.bytes >= BELIEVED {
            *self = Self::default();
        } else if self.writing.as_secs_f64() > BELIEVED as f64 / NETWORK {
            *self = Self {
                slow_until: Some(ended + HOLD),
                ..Self::default()
            };
            return Some(true);
        }
        None
    }
}

/// Starts the thread that reads frames from the controller. `heard` is set to the agent's clock, in
/// milliseconds since `start`, whenever bytes come.
pub(crate) fn start_reader(
    mut from: impl Read + Send + 'static,
    inputs: Sender<Input>,
    start: Instant,
    heard: Arc<AtomicU64>,
) {
    thread::spawn(move || {
        let mut decoder = Decoder::default();
        let mut bytes = vec![0; MAX_CHUNK];
        let why = loop {
            match from.read(&mut bytes) {
                Ok(0) => break None,
                Ok(count) => decoder.push(&bytes[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => break Some(format!("reading from the controller failed: {error}")),
            }
            heard.store(start.elapsed().as_millis() as u64, Ordering::Relaxed);
            let damage = loop {
                match decoder.take::<ToAgent>() {
                    Ok(Some(request)) => {
                        if inputs.send(Input::Request(request)).is_err() {
                            return;
                        }
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(error.to_string()),
                }
            };
            if damage.is_some() {
                break damage;
            }
        };
        let _ = inputs.send(Input::Closed(why));
    });
}

/// The bytes of output that may still be sent before the controller acknowledges some.
#[derive(Debug)]
pub(crate) struct Credit {
    left: Mutex<u64>,
    more: Condvar,
    waiting: AtomicUsize,
}

impl Credit {
    pub(crate) fn new() -> Self {
        Self {
            left: Mutex::new(0),
            more: Condvar::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// True while output waits for the controller: whoever wrote it is held up, not stalled.
    pub(crate) fn is_short(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn give(&self, bytes: u64) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) += bytes;
        self.more.notify_all();
    }

    /// Waits until `bytes` may be sent.
    pub(crate) fn spend(&self, bytes: u64) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        while *left < bytes {
            left = self.more.wait(left).unwrap_or_else(PoisonError::into_inner);
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        *left -= bytes;
    }
}

/// One rank's pipe.
pub(crate) struct Pump {
    pub(crate) pipe: PipeReader,
    pub(crate) task: TaskId,
    pub(crate) rank: u32,
    pub(crate) place: usize,
    pub(crate) credit: Arc<Credit>,
    /// True if the channel crosses a network or is ciphered.
    pub(crate) pack: bool,
    pub(crate) outbox: Outbox,
    pub(crate) inputs: Sender<Input>,
    /// Counts the bytes read from all ranks of the task, which shows that it is alive.
    pub(crate) bytes_read: Arc<AtomicU64>,
}

impl Pump {
    /// Starts the thread that carries the pipe's bytes to the controller.
    pub(crate) fn start(mut self) {
        thread::spawn(move || {
            let mut bytes = vec![0; MAX_CHUNK];
            let mut packer = Packer::default();
            loop {
                match self.pipe.read(&mut bytes) {
                    Ok(0) => break,
                    Ok(count) => {
                        self.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
                        self.credit.spend(count as u64);
                        // Compressing costs the node more than the cipher of its channel saves, so
                        // only a network that cannot follow gets less to carry.
                        let chunk =
                            packer.pack(&bytes[..count], self.pack && self.outbox.is_behind());
                        self.outbox.send(&FromAgent::Output {
                            task: self.task,
                            rank: self.rank,
                            chunk,
                        });
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            let _ = self.inputs.send(Input::OutputEnded { place: self.place });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes frames at a rate in bytes per second; tells when it was held to be slow, and when no more, in seconds.
    fn turns(rate: f64, seconds: f64) -> Vec<(bool, f64)> {
        let start = Instant::now();
        let (mut pace, mut at, mut turns) = (Pace::default(), start, Vec::new());
        while at < start + Duration::from_secs_f64(seconds) {
            let ended = at + Duration::from_secs_f64(MAX_CHUNK as f64 / rate);
            if let Some(slow) = pace.written(MAX_CHUNK, at, ended) {
                turns.push((slow, (ended - start).as_secs_f64()));
            }
            at = ended;
        }
        turns
    }

    #[test]
    fn a_network_is_slow_and_a_processor_is_not() {
        assert_eq!(turns(300e6, 3.0), []);
        let gigabit = turns(118e6, 3.0);
        let [(true, first), (false, again), (true, second), ..] = gigabit[..] else {
            panic!("{gigabit:?}");
        };
        assert!((0.028..0.03).contains(&first), "{gigabit:?}");
        assert!((1.0..1.01).contains(&(again - first)), "{gigabit:?}");
        assert!((0.028..0.03).contains(&(second - again)), "{gigabit:?}");
    }

    #[test]
    fn one_long_write_suffices() {
        let turns = turns(1e6, 2.0);
        assert_eq!(
            turns.first().map(|(slow, _)| *slow),
            Some(true),
            "{turns:?}"
        );
    }
}
