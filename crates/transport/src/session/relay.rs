//! Processes on a node whose standard streams are handed through its session, and sessions with agents at
//! the other end of one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flagperf_model::ProcessSpec;
use flagperf_wire::{ChannelId, FromAgent, MAX_CHUNK, ProcessEnd, RELAY_WINDOW, ToAgent};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::mpsc::{
    UnboundedReceiver, UnboundedSender, WeakUnboundedSender, unbounded_channel,
};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::listen::Channel;
use super::speak::{Outgoing, write_requests};
use super::{Clock, Events, Introduction, Session, SessionEvent, Terms};

/// How long a process whose agent has left may take to end: its engine removes a container meanwhile.
const GOING: Duration = Duration::from_secs(15);

/// Bytes between a session's tasks and whoever uses a relayed stream.
const ROOM: usize = 64 << 10;

/// How a process behind a channel ended, and the last of what it wrote to its standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    /// How it ended.
    pub end: ProcessEnd,
    /// Its last words.
    pub words: String,
}

/// A process on a node: its standard input and output as one stream, and its end. Dropping the stream closes
/// its standard input.
#[derive(Debug)]
pub struct Relayed {
    /// What it reads and writes.
    pub stream: DuplexStream,
    /// How it ended; closed without a word if the session of its node ended first.
    pub farewell: oneshot::Receiver<Farewell>,
}

/// The channels of a session, as its listening side sees them.
#[derive(Debug, Clone, Default)]
pub(super) struct Relays(Arc<Mutex<HashMap<ChannelId, Sink>>>);

#[derive(Debug)]
struct Sink {
    said: UnboundedSender<Vec<u8>>,
    /// Bytes that may still be sent to it.
    room: Arc<Semaphore>,
    farewell: oneshot::Sender<Farewell>,
}

impl Relays {
    pub(super) fn said(&self, channel: ChannelId, bytes: Vec<u8>) {
        if let Some(sink) = self.lock().get(&channel) {
            let _ = sink.said.send(bytes);
        }
    }

    pub(super) fn written(&self, channel: ChannelId, bytes: u64) {
        if let Some(sink) = self.lock().get(&channel) {
            sink.room.add_permits(bytes as usize);
        }
    }

    pub(super) fn hung_up(&self, channel: ChannelId, farewell: Farewell) {
        if let Some(sink) = self.lock().remove(&channel) {
            sink.room.close();
            let _ = sink.farewell.send(farewell);
        }
    }

    /// The session is over, and with it all that went through it.
    pub(super) fn close(&self) {
        for (_, sink) in self.lock().drain() {
            sink.room.close();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ChannelId, Sink>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Starts a process on the node and hands its standard streams through. It is ended with the session.
    pub fn relay(&self, channel: ChannelId, process: ProcessSpec) -> Relayed {
        let (ours, theirs) = tokio::io::duplex(ROOM);
        let (read, write) = tokio::io::split(ours);
        let (said, heard) = unbounded_channel();
        let (farewell, told) = oneshot::channel();
        let room = Arc::new(Semaphore::new(RELAY_WINDOW));
        let sink = Sink {
            said,
            room: Arc::clone(&room),
            farewell,
        };
        self.relays.lock().insert(channel, sink);
        self.send(ToAgent::Open { channel, process });
        tokio::spawn(carry_back(heard, write, self.outgoing.downgrade()));
        tokio::spawn(carry_there(channel, read, room, self.outgoing.downgrade()));
        Relayed {
            stream: theirs,
            farewell: told,
        }
    }
}

/// From the process to whoever uses the stream. What is taken may be sent again.
async fn carry_back(
    mut heard: UnboundedReceiver<Vec<u8>>,
    mut to: WriteHalf<DuplexStream>,
    session: WeakUnboundedSender<Outgoing>,
) {
    let mut broken = false;
    while let Some(bytes) = heard.recv().await {
        broken = broken || to.write_all(&bytes).await.is_err();
        let Some(session) = session.upgrade() else {
            break;
        };
        let bytes = bytes.len() as u64;
        let _ = session.send(Outgoing::Message(ToAgent::Credit { bytes }));
    }
    let _ = to.shutdown().await;
}

/// From whoever uses the stream to the process.
async fn carry_there(
    channel: ChannelId,
    mut from: ReadHalf<DuplexStream>,
    room: Arc<Semaphore>,
    session: WeakUnboundedSender<Outgoing>,
) {
    let mut bytes = vec![0; MAX_CHUNK];
    loop {
        let count = match from.read(&mut bytes).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let Ok(permit) = room.acquire_many(count as u32).await else {
            return;
        };
        permit.forget();
        let Some(session) = session.upgrade() else {
            return;
        };
        let bytes = bytes[..count].to_vec().into();
        let _ = session.send(Outgoing::Message(ToAgent::Write { channel, bytes }));
    }
    if let Some(session) = session.upgrade() {
        let _ = session.send(Outgoing::Message(ToAgent::HangUp { channel }));
    }
}

impl Session {
    /// Brings up an agent behind a process of this session's node: one in a container, say, whose engine's
    /// client is that process. Its program must be the one that this session's agent is.
    ///
    /// # Errors
    ///
    /// The process ended before the agent had said who it is, and how; or it took longer than `patience`.
    pub async fn open_through(
        &self,
        channel: ChannelId,
        process: ProcessSpec,
        terms: &Terms,
    ) -> Result<Through, ThroughError> {
        let relayed = self.relay(channel, process);
        let (read, write) = tokio::io::split(relayed.stream);
        let mut farewell = relayed.farewell;
        let (outgoing, requests) = unbounded_channel();
        let (events, mut incoming) = unbounded_channel();
        let clock = Arc::new(Mutex::new(Clock::default()));
        let relays = Relays::default();
        let _ = outgoing.send(Outgoing::Message(ToAgent::Hello {
            timing: terms.timing,
            window: terms.window,
            pack: terms.pack,
            scratch: terms.scratch.clone(),
            name: terms.name.clone(),
        }));
        tokio::spawn(write_requests(
            write,
            requests,
            terms.timing,
            Arc::clone(&clock),
        ));
        let mut listening = Channel {
            stdout: read,
            events,
            timing: terms.timing,
            clock: Arc::clone(&clock),
            again: outgoing.downgrade(),
            relays: relays.clone(),
        };
        let (ended, how) = oneshot::channel();
        tokio::spawn(async move {
            let (why, since) = listening.listen(Vec::new()).await;
            let told = timeout(GOING, &mut farewell).await;
            let told = told.ok().and_then(Result::ok);
            let reason = match (why, &told) {
                (Some(why), _) => why,
                (None, Some(farewell)) => format!("its container ended ({farewell})"),
                (None, None) => "the agent closed its channel but did not end".to_owned(),
            };
            let _ = ended.send(told);
            let closed = SessionEvent::Closed { reason, since };
            let _ = listening.events.send(closed);
        });
        let hello = async {
            loop {
                match incoming.recv().await {
                    Some(SessionEvent::Silent(_) | SessionEvent::Back) => {}
                    other => return other,
                }
            }
        };
        match timeout(terms.patience, hello).await {
            Err(_) => Err(ThroughError::Slow(terms.patience)),
            Ok(Some(SessionEvent::Message(FromAgent::Hello {
                build,
                size: _,
                version,
                clock: anchor,
                pid,
                started,
                program,
            }))) if build == self.introduction.build && version == terms.version => {
                let session = Self {
                    outgoing,
                    anchor,
                    clock,
                    noise: String::new(),
                    path: program.clone(),
                    relays,
                    introduction: Introduction {
                        build,
                        pid,
                        started,
                        program,
                    },
                };
                Ok(Through {
                    session,
                    events: Events(incoming),
                    farewell: how,
                })
            }
            Ok(Some(SessionEvent::Closed { reason, .. })) => {
                let farewell = how.await.ok().flatten();
                Err(ThroughError::Ended { reason, farewell })
            }
            Ok(_) => Err(ThroughError::Ended {
                reason: "its first message was not that of this program's agent".to_owned(),
                farewell: None,
            }),
        }
    }
}

/// A session with an agent behind a process.
#[derive(Debug)]
pub struct Through {
    /// Its speaking half.
    pub session: Session,
    /// Its listening half.
    pub events: Events,
    /// How the process ended, once it has; `None` if that was not told in time.
    pub farewell: oneshot::Receiver<Option<Farewell>>,
}

/// Why no session came about behind a process.
#[derive(Debug, thiserror::Error)]
pub enum ThroughError {
    /// It took too long.
    #[error("its agent had said nothing within {:.0} s", .0.as_secs_f64())]
    Slow(Duration),
    /// The process ended, or said something else.
    #[error("{reason}")]
    Ended {
        /// Why.
        reason: String,
        /// How the process ended, if it did.
        farewell: Option<Farewell>,
    },
}

impl Farewell {
    /// True if the process ended by itself and well.
    pub fn is_orderly(&self) -> bool {
        self.end == ProcessEnd::Status(0)
    }

    /// How it ended, without its words.
    pub fn status(&self) -> String {
        Self {
            end: self.end.clone(),
            words: String::new(),
        }
        .to_string()
    }
}

impl fmt::Display for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.end {
            ProcessEnd::Status(status) => write!(f, "exit status {status}")?,
            ProcessEnd::Signal(signal) => write!(f, "ended by signal {signal}")?,
            ProcessEnd::NotStarted { program, reason } => {
                return write!(f, "`{program}` could not be started: {reason}");
            }
        }
        if self.words.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", self.words)
    }
}
