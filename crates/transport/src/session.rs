//! A live conversation with an agent.

mod listen;
mod relay;
mod speak;
mod words;

pub use relay::{Farewell, Relayed, Through, ThroughError};

use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flagperf_model::{ChipWatch, ClockOffset, Timestamp};
use flagperf_wire::{ClockAnchor, FromAgent, Timing, ToAgent, TreeId};
use tokio::process::Command;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout};

use crate::bootstrap::{self, Failed, Lines, Started};
use crate::clock::Estimate;
use crate::launch::{Launch, Way};
use crate::program::Programs;
use crate::trouble::{EXEC_HINT, Ended, NOT_INSTALLED, Trouble, of_launcher, said};

use listen::{Channel, read_events};
use relay::Relays;
use speak::{Outgoing, write_requests};
use words::Words;

/// How long an agent whose channel closed is waited for, so that its exit status can be told.
const LEAVING: Duration = Duration::from_secs(2);

/// A launcher's pipe takes one part in so many of what may be under way from its node.
const WIDTHS: u64 = 8;

/// Width of a pipe as the system makes it, in bytes.
const USUAL_PIPE: usize = 64 << 10;

/// How a session is to be held.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Heartbeats and silence.
    pub timing: Timing,
    /// What the node has to come up, all in all.
    pub patience: Duration,
    /// Bytes of output that may be under way from it.
    pub window: u64,
    /// True if output is worth compressing on its way: it is ciphered, or crosses a network.
    pub pack: bool,
    /// Directory of the node for the files of cases; absent for the system's own place for such.
    pub scratch: Option<String>,
    /// The chips that it looks for.
    pub chips: Arc<ChipWatch>,
    /// The version that the agent must have.
    pub version: &'static str,
}

/// Why no session came about.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The command could not be started.
    #[error("failed to start `{program}`")]
    Start {
        /// The program.
        program: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// It took too long.
    #[error("it did not come up within {seconds:.0} s: {}", what.reason)]
    Slow {
        /// The bound, in seconds.
        seconds: f64,
        /// What had not come yet, and what was said so far.
        what: Trouble,
    },
    /// It ended, or said something else.
    #[error("{}", .0.reason)]
    Refused(Trouble),
    /// It is another version.
    #[error("`{path}` there is another version of the program than this one ({version})")]
    OtherBuild {
        /// What it says of itself.
        version: String,
        /// Where it lies.
        path: String,
        /// True if the user says that it is there, so that it is never placed.
        installed: bool,
    },
}

impl OpenError {
    /// What can be done about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Start { .. } => Some(
                "install it on this machine, or use another launcher".to_owned(),
            ),
            Self::Slow { what, .. } => what.hint.clone().or_else(|| Some(
                "check its load and the network; `connect` under [session] in flagperf.toml gives it more time"
                    .to_owned(),
            )),
            Self::Refused(trouble) => trouble.hint.clone(),
            Self::OtherBuild { installed: true, .. } => Some(
                "copy the file of this version there (it is `flagperf-<architecture>` beside this one for another architecture)"
                    .to_owned(),
            ),
            Self::OtherBuild { path, .. } => Some(remove(path)),
        }
    }
}

fn remove(path: &str) -> String {
    format!("that copy may be damaged: remove `{path}` there, and it is placed anew")
}

/// An attempt that gave no session.
struct Attempt {
    error: OpenError,
    /// True if a copy of the program that was found did not answer as the program does.
    damaged: bool,
}

impl From<OpenError> for Attempt {
    fn from(error: OpenError) -> Self {
        Self {
            error,
            damaged: false,
        }
    }
}

/// What comes from an agent.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionEvent {
    /// A message; heartbeats and answers about the clock are left out.
    Message(FromAgent),
    /// Nothing was heard for this many seconds.
    Silent(f64),
    /// It speaks again.
    Back,
    /// The session is over. Nothing follows.
    Closed {
        /// Why.
        reason: String,
        /// Since when the node has been gone, at the earliest, in the controller's time: after a silence
        /// that was when it should have spoken.
        since: Timestamp,
    },
}

/// The speaking half of a live conversation with one agent. Dropping it ends the agent and all that
/// it started.
#[derive(Debug)]
pub struct Session {
    outgoing: UnboundedSender<Outgoing>,
    anchor: ClockAnchor,
    clock: Arc<Mutex<Clock>>,
    /// What a login shell printed before the agent began.
    noise: String,
    path: String,
    relays: Relays,
    introduction: Introduction,
}

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// Content hash (BLAKE3) of its program.
    pub build: [u8; 32],
    /// Its process id on the node.
    pub pid: u32,
    /// When it started, in clock ticks after the node's boot.
    pub started: u64,
    /// The path of its program on the node.
    pub program: String,
}

/// What is known of a node's clock.
#[derive(Debug, Default)]
struct Clock {
    best: Option<Estimate>,
    /// The last question and when it was sent.
    asked: Option<(u64, Timestamp)>,
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
    /// Brings up an agent and waits until it has said who it is. Where the program is not on the node
    /// yet, it is placed there over the same stream. If a copy is there that does not answer as the
    /// program does, that is done once more, and the copy is replaced.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub async fn open(
        launch: &Launch,
        programs: &Programs,
        terms: &Terms,
    ) -> Result<(Self, Events), OpenError> {
        let deadline = Instant::now() + terms.patience;
        let first = match Self::attempt(launch, programs, terms, deadline, false).await {
            Ok(pair) => return Ok(pair),
            Err(first) => first,
        };
        match launch.anew().filter(|_| first.damaged) {
            None => Err(first.error),
            Some(anew) => Self::attempt(&anew, programs, terms, deadline, true)
                .await
                .map_err(|second| second.error),
        }
    }

    /// `proven` says that a copy which is found has told its hash.
    async fn attempt(
        launch: &Launch,
        programs: &Programs,
        terms: &Terms,
        deadline: Instant,
        proven: bool,
    ) -> Result<(Self, Events), Attempt> {
        let slow = |what: String, hint: Option<String>| OpenError::Slow {
            seconds: terms.patience.as_secs_f64(),
            what: Trouble { reason: what, hint },
        };
        let mut child = Command::new(&launch.program)
            .args(&launch.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group: a Ctrl-C on the terminal is for the controller alone, which then
            // asks the agent to end its task in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| OpenError::Start {
                program: launch.program.to_string_lossy().into_owned(),
                source,
            })?;
        let (Some(mut stdin), Some(mut stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(OpenError::Refused(Trouble::plain("it has no standard streams")).into());
        };
        // The launcher writes on while this end is busy. Where the user may not have so wide a pipe, the
        // usual width will do.
        let width = usize::try_from(terms.window / WIDTHS).unwrap_or(usize::MAX);
        if width > USUAL_PIPE {
            let _ = rustix::pipe::fcntl_setpipe_size(&stdout, width);
        }
        let words = Words::listen(stderr);
        let mut started = match &launch.nonce {
            None => Started {
                hash: programs.own_hash(),
                ..Started::default()
            },
            Some(nonce) => {
                let mut lines = Lines::of(nonce);
                let follow = bootstrap::follow(&mut stdin, &mut stdout, &mut lines, programs);
                match tokio::time::timeout_at(deadline, follow).await {
                    Ok(Ok(started)) => started,
                    Ok(Err(Failed::Trouble(trouble))) => {
                        return Err(OpenError::Refused(trouble).into());
                    }
                    Ok(Err(Failed::Ended(asked))) => {
                        let status = match timeout(LEAVING, child.wait()).await {
                            Ok(Ok(status)) => Some(status),
                            _ => None,
                        };
                        let trouble = of_launcher(&Ended {
                            way: launch.way,
                            status,
                            words: &words.all().await,
                            printed: &lines.printed(),
                            installed: launch.installed.is_some(),
                            asked,
                            answered: false,
                        });
                        return Err(OpenError::Refused(trouble).into());
                    }
                    Err(_) => {
                        let _ = child.start_kill();
                        let said = said(&words.so_far(), &lines.printed());
                        let hint = (launch.way == Way::Exec).then(|| EXEC_HINT.to_owned());
                        return Err(slow(format!("its shell had not answered{said}"), hint).into());
                    }
                }
            }
        };
        started.found &= !proven;
        let path = match (&launch.installed, started.path.as_str()) {
            (Some(path), _) => path.clone(),
            (None, "") => launch.program.to_string_lossy().into_owned(),
            (None, path) => path.to_owned(),
        };
        let (outgoing, requests) = unbounded_channel();
        let (events, mut incoming) = unbounded_channel();
        let clock = Arc::new(Mutex::new(Clock::default()));
        let relays = Relays::default();
        let _ = outgoing.send(Outgoing::Message(ToAgent::Hello {
            timing: terms.timing,
            window: terms.window,
            pack: terms.pack,
            scratch: terms.scratch.clone(),
            chips: ChipWatch::clone(&terms.chips),
        }));
        tokio::spawn(write_requests(
            stdin,
            requests,
            terms.timing,
            Arc::clone(&clock),
        ));
        let channel = Channel {
            stdout,
            events,
            timing: terms.timing,
            clock: Arc::clone(&clock),
            again: outgoing.downgrade(),
            relays: relays.clone(),
        };
        tokio::spawn(read_events(
            child,
            channel,
            started.rest,
            words.clone(),
            launch.way,
        ));
        // A node that takes its time may be told silent before it has said anything.
        let hello = async {
            loop {
                match incoming.recv().await {
                    Some(SessionEvent::Silent(_) | SessionEvent::Back) => {}
                    other => return other,
                }
            }
        };
        let hello = tokio::time::timeout_at(deadline, hello)
            .await
            .map_err(|_| {
                let said = said(&words.so_far(), "");
                let hint = match launch.way {
                    Way::Exec if !started.found => Some(EXEC_HINT.to_owned()),
                    _ => started.found.then(|| remove(&path)),
                };
                slow(format!("its agent (`{path}`) had said nothing{said}"), hint)
            })?;
        let refused = |why: String| Attempt {
            error: OpenError::Refused(match (&launch.installed, launch.way) {
                (Some(_), Way::Local | Way::Ssh) => {
                    Trouble::new(format!("`{path}`: {why}"), NOT_INSTALLED)
                }
                (Some(_), Way::Exec) => Trouble::new(
                    format!("`{path}`: {why}"),
                    &format!("{NOT_INSTALLED}; and {EXEC_HINT}"),
                ),
                (None, _) if started.found => Trouble {
                    reason: why,
                    hint: Some(remove(&path)),
                },
                (None, _) => Trouble::plain(why),
            }),
            damaged: started.found,
        };
        match hello {
            Some(SessionEvent::Message(FromAgent::Hello {
                build,
                size,
                version,
                clock: anchor,
                pid,
                started: since,
                program,
            })) => {
                let installed = launch.installed.is_some();
                let whole = started.size.is_none_or(|expected| expected == size);
                let known = (build == started.hash && whole) || (installed && programs.has(&build));
                if !known || version != terms.version {
                    return Err(Attempt {
                        error: OpenError::OtherBuild {
                            version,
                            path,
                            installed,
                        },
                        damaged: started.found,
                    });
                }
                let session = Self {
                    outgoing,
                    anchor,
                    clock,
                    noise: started.noise,
                    path: started.path,
                    relays,
                    introduction: Introduction {
                        build,
                        pid,
                        started: since,
                        program,
                    },
                };
                Ok((session, Events(incoming)))
            }
            Some(SessionEvent::Closed { reason, .. }) => Err(refused(reason)),
            _ => Err(refused("its first message was not a hello".to_owned())),
        }
    }

    /// Says something. After the session's end it is heard by nobody.
    pub fn send(&self, request: ToAgent) {
        let _ = self.outgoing.send(Outgoing::Message(request));
    }

    /// Sends a directory, packed as `flagperf-archive` does. Each [`FromAgent::Taken`] tells that it gets on.
    pub fn put(&self, tree: TreeId, packed: Arc<[u8]>) {
        let _ = self.outgoing.send(Outgoing::Tree(tree, packed));
    }

    /// What the agent said of itself.
    pub fn introduction(&self) -> &Introduction {
        &self.introduction
    }

    /// What a login shell printed before the agent began; empty if it kept still.
    pub fn noise(&self) -> &str {
        &self.noise
    }

    /// Where the program lies on the node, if it was found or placed there.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The controller's time at a reading of the node's `CLOCK_MONOTONIC`, in nanoseconds.
    pub fn moment(&self, mono_ns: u64) -> Timestamp {
        match self.estimate() {
            Some(estimate) => estimate.moment(mono_ns),
            None => self.anchor.moment(mono_ns),
        }
    }

    /// The node's `CLOCK_MONOTONIC`, in nanoseconds, at a moment of the controller's time.
    pub fn mono_ns(&self, moment: Timestamp) -> u64 {
        self.estimate()
            .map_or(0, |estimate| estimate.mono_ns(moment))
    }

    /// How far the node's wall clock is off, and how well that is known. What the node says in its own
    /// time becomes the controller's by taking `ahead_s` away.
    pub fn clock(&self) -> ClockOffset {
        match self.estimate() {
            Some(estimate) => ClockOffset {
                ahead_s: self
                    .anchor
                    .unix
                    .seconds_since(estimate.moment(self.anchor.mono_ns)),
                uncertainty_s: estimate.uncertainty_s(),
            },
            None => ClockOffset::default(),
        }
    }

    fn estimate(&self) -> Option<Estimate> {
        self.clock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .best
    }
}
