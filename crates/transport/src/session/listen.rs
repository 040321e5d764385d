//! The listening side of a session.

use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flagperf_model::Timestamp;
use flagperf_wire::{Decoder, FrameError, FromAgent, Timing};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStdout};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep_until, timeout};

use super::relay::{Farewell, Relays};
use super::speak::Outgoing;
use super::words::Words;
use super::{Clock, LEAVING, SessionEvent};
use crate::clock::{Estimate, now};
use crate::launch::Way;
use crate::trouble::{self as launcher, of_launcher};

/// Questions about the clock that are asked one after the other at the start of a session.
const FIRST_PINGS: u64 = 3;

/// Room for what is read at once, in bytes: little for a quiet node, since there may be thousands,
/// and more when it fills up.
const LEAST_ROOM: usize = 4 << 10;

/// What ends a node is noticed by others sooner or later than here. Failures elsewhere within this many
/// nanoseconds before a channel's end are taken for its consequences.
const NOTICED: i64 = 250_000_000;

/// See [`LEAST_ROOM`].
const MOST_ROOM: usize = 256 << 10;

/// The reading side of a session.
pub(super) struct Channel<R> {
    pub(super) stdout: R,
    pub(super) events: UnboundedSender<SessionEvent>,
    pub(super) timing: Timing,
    pub(super) clock: Arc<Mutex<Clock>>,
    /// To the speaking side; weak, so that it does not keep the session alive.
    pub(super) again: tokio::sync::mpsc::WeakUnboundedSender<Outgoing>,
    /// Processes whose streams come through here.
    pub(super) relays: Relays,
}

pub(super) async fn read_events(
    mut child: Child,
    mut channel: Channel<ChildStdout>,
    rest: Vec<u8>,
    words: Words,
    way: Way,
) {
    let (why, since) = channel.listen(rest).await;
    let status = match timeout(LEAVING, child.wait()).await {
        Ok(Ok(status)) => Some(status),
        _ => None,
    };
    if status.is_none() {
        // It broke the protocol or fell silent, and does not leave by itself.
        let _ = child.start_kill();
        let _ = timeout(LEAVING, child.wait()).await;
    }
    let words = words.all().await;
    let text = match (why, status) {
        (None, Some(status)) if way == Way::Ssh && status.code() == Some(255) => {
            let trouble = of_launcher(&launcher::Ended {
                way,
                status: Some(status),
                words: &words,
                printed: "",
                installed: false,
                asked: false,
                answered: true,
            });
            format!("its connection ended: {}", trouble.reason)
        }
        (why, status) => describe(why, status, &words),
    };
    let _ = channel.events.send(SessionEvent::Closed {
        reason: text,
        since,
    });
}

/// How the stream ended.
enum Ended {
    Plainly,
    /// The text tells how.
    Badly(String),
    /// After so many seconds in which nothing was heard.
    Silent(f64),
}

fn describe(why: Option<String>, status: Option<ExitStatus>, words: &str) -> String {
    let mut text = match (why, status) {
        (Some(why), _) => why,
        (None, Some(status)) => format!("the agent ended ({status})"),
        (None, None) => "the agent closed its channel but did not end".to_owned(),
    };
    if !words.is_empty() {
        text.push_str("; it said: ");
        text.push_str(words);
    }
    text
}

impl<R: AsyncRead + Unpin> Channel<R> {
    /// Passes messages on until the stream ends. Tells why, if that was not a plain end, and since when the node
    /// has been gone, at the earliest.
    pub(super) async fn listen(&mut self, rest: Vec<u8>) -> (Option<String>, Timestamp) {
        let ended = self.converse(rest).await;
        self.relays.close();
        match ended {
            Ended::Plainly => (None, now().plus_nanos(-NOTICED)),
            Ended::Badly(why) => (Some(why), now().plus_nanos(-NOTICED)),
            Ended::Silent(seconds) => {
                let why = format!("nothing heard from it for {seconds:.0} s");
                let overdue = seconds - self.timing.heartbeat_s;
                (Some(why), now().plus_nanos((-1e9 * overdue) as i64))
            }
        }
    }

    /// Passes messages on until the stream ends.
    async fn converse(&mut self, rest: Vec<u8>) -> Ended {
        let timing = self.timing;
        let mut decoder = Decoder::default();
        decoder.push(&rest);
        drop(rest);
        if let Err(error) = self.pass_on(&mut decoder) {
            return Ended::Badly(error.to_string());
        }
        let mut room = LEAST_ROOM;
        let mut bytes = vec![0; room];
        let mut heard = Instant::now();
        let mut looked = heard;
        let mut silent = false;
        let look = Duration::from_secs_f64((timing.silent_s / 8.0).clamp(0.01, 1.0));
        loop {
            let read = tokio::select! {
                biased;
                read = self.stdout.read(&mut bytes) => read,
                () = sleep_until(looked + look) => {
                    // Had this process been stopped, its clock would have gone on without it: what
                    // came meanwhile is still to be read, and silence begins anew.
                    if looked.elapsed() > look + Duration::from_secs(2) {
                        heard = Instant::now();
                    }
                    looked = Instant::now();
                    let seconds = heard.elapsed().as_secs_f64();
                    if seconds > timing.lost_s {
                        return Ended::Silent(seconds);
                    }
                    if seconds > timing.silent_s && !silent {
                        silent = true;
                        let _ = self.events.send(SessionEvent::Silent(seconds));
                    }
                    continue;
                }
                // Nobody listens any more, which is how a session is dropped.
                () = self.events.closed() => return Ended::Plainly,
            };
            match read {
                Ok(0) if decoder.is_torn() => {
                    let how = "its channel ended in the middle of a message";
                    return Ended::Badly(how.to_owned());
                }
                Ok(0) => return Ended::Plainly,
                Ok(count) => {
                    decoder.push(&bytes[..count]);
                    if count == room && room < MOST_ROOM {
                        room *= 2;
                        bytes.resize(room, 0);
                    }
                }
                Err(error) => return Ended::Badly(format!("its channel failed: {error}")),
            }
            heard = Instant::now();
            if std::mem::take(&mut silent) {
                let _ = self.events.send(SessionEvent::Back);
            }
            if let Err(error) = self.pass_on(&mut decoder) {
                return Ended::Badly(error.to_string());
            }
        }
    }

    fn pass_on(&mut self, decoder: &mut Decoder) -> Result<(), FrameError> {
        while let Some(message) = decoder.take::<FromAgent>()? {
            match message {
                FromAgent::Heartbeat => {}
                FromAgent::Pong { id, mono_ns } => self.clock_told(id, mono_ns),
                FromAgent::Said { channel, bytes } => self.relays.said(channel, bytes.into_vec()),
                FromAgent::Written { channel, bytes } => self.relays.written(channel, bytes),
                FromAgent::HungUp {
                    channel,
                    end,
                    words,
                } => self.relays.hung_up(channel, Farewell { end, words }),
                message => {
                    if let FromAgent::Taken { bytes } = message
                        && let Some(again) = self.again.upgrade()
                    {
                        let _ = again.send(Outgoing::Taken(bytes));
                    }
                    let _ = self.events.send(SessionEvent::Message(message));
                }
            }
        }
        Ok(())
    }

    fn clock_told(&self, id: u64, mono_ns: u64) {
        let answered = now();
        {
            let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
            let Some((_, sent)) = clock.asked.filter(|(asked, _)| *asked == id) else {
                return;
            };
            let newer = Estimate::new(sent, answered, mono_ns);
            clock.best = Some(clock.best.map_or(newer, |best| best.or(newer)));
        }
        if id < FIRST_PINGS
            && let Some(again) = self.again.upgrade()
        {
            let _ = again.send(Outgoing::AskClock);
        }
    }
}
