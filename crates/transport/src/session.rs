//! A live conversation with an agent.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flagperf_wire::{ClockAnchor, Decoder, FrameError, FromAgent, Timing, ToAgent, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until, timeout};

/// An agent's last words on standard error that are kept, in bytes.
const LAST_WORDS: usize = 4096;

/// How long an agent whose channel closed is waited for, so that its exit status can be told.
const LEAVING: Duration = Duration::from_secs(2);

/// A command whose standard input and standard output are an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

impl Launch {
    /// An agent on this machine: `program agent` as a child.
    pub fn local(program: PathBuf) -> Self {
        Self {
            program,
            arguments: vec!["agent".into()],
        }
    }
}

/// Why no session came about.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The command could not be started.
    #[error("failed to start `{}`", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// It said no hello in time.
    #[error("the agent said nothing for {0:.0} s after it was started")]
    Slow(f64),
    /// It ended, or said something else.
    #[error("the agent did not start its session: {0}")]
    Refused(String),
    /// It is another version.
    #[error("the agent is another version of the program than this one")]
    OtherBuild,
}

/// What comes from an agent.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionEvent {
    /// A message; heartbeats are left out.
    Message(FromAgent),
    /// Nothing was heard for this many seconds.
    Silent(f64),
    /// It speaks again.
    Back,
    /// The session is over; the text tells why. Nothing follows.
    Closed(String),
}

/// The speaking half of a live conversation with one agent. Dropping it ends the agent and all that
/// it started.
#[derive(Debug)]
pub struct Session {
    outgoing: UnboundedSender<ToAgent>,
    clock: ClockAnchor,
    pid: u32,
}

/// The listening half. Dropping it ends the session too.
#[derive(Debug)]
pub struct Events(UnboundedReceiver<SessionEvent>);

impl Events {
    /// What comes next. `None` after [`SessionEvent::Closed`].
    pub async fn next(&mut self) -> Option<SessionEvent> {
        self.0.recv().await
    }
}

impl Session {
    /// Starts an agent and waits until it has said who it is.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub async fn open(
        launch: &Launch,
        build: [u8; 32],
        timing: Timing,
        patience: Duration,
    ) -> Result<(Self, Events), OpenError> {
        let mut child = Command::new(&launch.program)
            .args(&launch.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group: a Ctrl-C on the terminal is for the controller alone, which then
            // asks the agent to end its task in order.
            .process_group(0)
            .spawn()
            .map_err(|source| OpenError::Start {
                program: launch.program.clone(),
                source,
            })?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(OpenError::Refused("it has no standard streams".to_owned()));
        };
        let (outgoing, requests) = unbounded_channel();
        let (events, mut incoming) = unbounded_channel();
        let _ = outgoing.send(ToAgent::Hello { timing });
        tokio::spawn(write_requests(stdin, requests, timing));
        tokio::spawn(read_events(child, stdout, stderr, events, timing));
        let hello = timeout(patience, incoming.recv())
            .await
            .map_err(|_| OpenError::Slow(patience.as_secs_f64()))?;
        match hello {
            Some(SessionEvent::Message(FromAgent::Hello {
                build: theirs,
                pid,
                clock,
            })) => {
                if theirs != build {
                    return Err(OpenError::OtherBuild);
                }
                let session = Self {
                    outgoing,
                    clock,
                    pid,
                };
                Ok((session, Events(incoming)))
            }
            Some(SessionEvent::Closed(why)) => Err(OpenError::Refused(why)),
            _ => Err(OpenError::Refused(
                "its first message was not a hello".to_owned(),
            )),
        }
    }

    /// Says something. After the session's end it is heard by nobody.
    pub fn send(&self, request: ToAgent) {
        let _ = self.outgoing.send(request);
    }

    /// The node's clocks.
    pub fn clock(&self) -> ClockAnchor {
        self.clock
    }

    /// The agent's process id on its node.
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

async fn write_requests(
    mut stdin: ChildStdin,
    mut requests: UnboundedReceiver<ToAgent>,
    timing: Timing,
) {
    let heartbeat = Duration::from_secs_f64(timing.heartbeat_s.max(0.01));
    loop {
        let request = match timeout(heartbeat, requests.recv()).await {
            Ok(Some(request)) => request,
            // The session was dropped: returning closes the channel.
            Ok(None) => return,
            Err(_) => ToAgent::Heartbeat,
        };
        let Ok(frame) = encode(&request) else {
            continue;
        };
        if stdin.write_all(&frame).await.is_err() || stdin.flush().await.is_err() {
            // The reading side sees the end too and tells why.
            return;
        }
    }
}

async fn read_events(
    mut child: Child,
    mut stdout: ChildStdout,
    stderr: ChildStderr,
    events: UnboundedSender<SessionEvent>,
    timing: Timing,
) {
    let last_words = Arc::new(Mutex::new(Vec::new()));
    let listener = tokio::spawn(keep_last_words(stderr, Arc::clone(&last_words)));
    let why = converse(&mut stdout, &events, timing).await;
    let status = match timeout(LEAVING, child.wait()).await {
        Ok(Ok(status)) => Some(status),
        _ => None,
    };
    let _ = timeout(LEAVING, listener).await;
    if status.is_none() {
        // It broke the protocol or fell silent, and does not leave by itself.
        let _ = child.start_kill();
        let _ = timeout(LEAVING, child.wait()).await;
    }
    let words = last_words
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let words = String::from_utf8_lossy(&words).trim().to_owned();
    let _ = events.send(SessionEvent::Closed(describe(why, status, &words)));
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

/// Passes messages on until the stream ends. The text tells why if that was not a plain end.
async fn converse(
    stdout: &mut ChildStdout,
    events: &UnboundedSender<SessionEvent>,
    timing: Timing,
) -> Option<String> {
    let mut decoder = Decoder::default();
    let mut bytes = vec![0; 128 << 10];
    let mut heard = Instant::now();
    let mut looked = heard;
    let mut silent = false;
    let look = Duration::from_secs_f64((timing.silent_s / 8.0).clamp(0.01, 1.0));
    loop {
        let read = tokio::select! {
            biased;
            read = stdout.read(&mut bytes) => read,
            () = sleep_until(looked + look) => {
                // Had this process been stopped, its clock would have gone on without it: what came
                // meanwhile is still to be read, and silence begins anew.
                if looked.elapsed() > look + Duration::from_secs(2) {
                    heard = Instant::now();
                }
                looked = Instant::now();
                let seconds = heard.elapsed().as_secs_f64();
                if seconds > timing.lost_s {
                    return Some(format!("nothing heard from it for {seconds:.0} s"));
                }
                if seconds > timing.silent_s && !silent {
                    silent = true;
                    let _ = events.send(SessionEvent::Silent(seconds));
                }
                continue;
            }
            // Nobody listens any more, which is how a session is dropped.
            () = events.closed() => return None,
        };
        match read {
            Ok(0) if decoder.is_torn() => {
                return Some("its channel ended in the middle of a message".to_owned());
            }
            Ok(0) => return None,
            Ok(count) => decoder.push(&bytes[..count]),
            Err(error) => return Some(format!("its channel failed: {error}")),
        }
        heard = Instant::now();
        if std::mem::take(&mut silent) {
            let _ = events.send(SessionEvent::Back);
        }
        if let Err(error) = pass_on(&mut decoder, events) {
            return Some(error.to_string());
        }
    }
}

fn pass_on(
    decoder: &mut Decoder,
    events: &UnboundedSender<SessionEvent>,
) -> Result<(), FrameError> {
    while let Some(message) = decoder.take::<FromAgent>()? {
        if message != FromAgent::Heartbeat {
            let _ = events.send(SessionEvent::Message(message));
        }
    }
    Ok(())
}

async fn keep_last_words(mut stderr: ChildStderr, words: Arc<Mutex<Vec<u8>>>) {
    let mut bytes = [0; 1024];
    while let Ok(count @ 1..) = stderr.read(&mut bytes).await {
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        words.extend_from_slice(&bytes[..count]);
        let excess = words.len().saturating_sub(LAST_WORDS);
        words.drain(..excess);
    }
}
