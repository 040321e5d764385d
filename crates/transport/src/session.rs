//! A live conversation with an agent.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flagperf_model::{ClockOffset, Timestamp};
use flagperf_wire::{
    ClockAnchor, Decoder, FrameError, FromAgent, MAX_CHUNK, Timing, ToAgent, TreeId, encode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until, timeout};

use crate::bootstrap::{self, Failed, Lines, Started};
use crate::clock::{Estimate, now};
use crate::launch::{Launch, Way};
use crate::program::Programs;
use crate::trouble::{EXEC_HINT, Ended, NOT_INSTALLED, Trouble, of_launcher, said};

/// An agent's last words on standard error that are kept, in bytes.
const LAST_WORDS: usize = 4096;

/// How long an agent whose channel closed is waited for, so that its exit status can be told.
const LEAVING: Duration = Duration::from_secs(2);

/// Questions about the clock that are asked one after the other at the start of a session.
const FIRST_PINGS: u64 = 3;

/// Room for what is read at once, in bytes: little for a quiet node, since there may be thousands,
/// and more when it fills up.
const LEAST_ROOM: usize = 4 << 10;

/// See [`LEAST_ROOM`].
const MOST_ROOM: usize = 256 << 10;

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
    /// The session is over; the text tells why. Nothing follows.
    Closed(String),
}

/// What is to be said.
#[derive(Debug)]
enum Outgoing {
    Message(ToAgent),
    /// A directory, in as many messages as it takes.
    Tree(TreeId, Arc<[u8]>),
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
        let _ = outgoing.send(Outgoing::Message(ToAgent::Hello {
            timing: terms.timing,
            window: terms.window,
            pack: terms.pack,
            scratch: terms.scratch.clone(),
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
        };
        tokio::spawn(read_events(
            child,
            channel,
            started.rest,
            words.clone(),
            launch.way,
        ));
        let hello = tokio::time::timeout_at(deadline, incoming.recv())
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
                version,
                clock: anchor,
                ..
            })) => {
                let installed = launch.installed.is_some();
                let known = build == started.hash || (installed && programs.has(&build));
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
                };
                Ok((session, Events(incoming)))
            }
            Some(SessionEvent::Closed(why)) => Err(refused(why)),
            _ => Err(refused("its first message was not a hello".to_owned())),
        }
    }

    /// Says something. After the session's end it is heard by nobody.
    pub fn send(&self, request: ToAgent) {
        let _ = self.outgoing.send(Outgoing::Message(request));
    }

    /// Sends a directory, packed as `flagperf-archive` does.
    pub fn put(&self, tree: TreeId, packed: Arc<[u8]>) {
        let _ = self.outgoing.send(Outgoing::Tree(tree, packed));
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

async fn write_requests(
    mut stdin: ChildStdin,
    mut requests: UnboundedReceiver<Outgoing>,
    timing: Timing,
    clock: Arc<Mutex<Clock>>,
) {
    let heartbeat = Duration::from_secs_f64(timing.heartbeat_s.max(0.01));
    let mut pings = 0;
    let mut due = Instant::now();
    loop {
        let outgoing = tokio::select! {
            biased;
            () = sleep_until(due) => {
                pings += 1;
                due = Instant::now() + heartbeat;
                Some(Outgoing::Message(ToAgent::Ping { id: pings }))
            }
            outgoing = requests.recv() => outgoing,
        };
        let written = match outgoing {
            // The session was dropped: returning closes the channel.
            None => return,
            Some(Outgoing::Message(ToAgent::Ping { id: 0 })) => {
                pings += 1;
                write(&mut stdin, &ToAgent::Ping { id: pings }, &clock).await
            }
            Some(Outgoing::Message(request)) => write(&mut stdin, &request, &clock).await,
            Some(Outgoing::Tree(tree, packed)) => {
                let mut rest = &packed[..];
                loop {
                    let (part, more) = rest.split_at(rest.len().min(MAX_CHUNK));
                    rest = more;
                    let put = ToAgent::Put {
                        tree,
                        bytes: part.to_vec().into(),
                        last: rest.is_empty(),
                    };
                    let written = write(&mut stdin, &put, &clock).await;
                    if written.is_err() || rest.is_empty() {
                        break written;
                    }
                }
            }
        };
        if written.is_err() {
            // The reading side sees the end too and tells why.
            return;
        }
    }
}

async fn write(stdin: &mut ChildStdin, request: &ToAgent, clock: &Mutex<Clock>) -> io::Result<()> {
    let Ok(frame) = encode(request) else {
        return Ok(());
    };
    if let ToAgent::Ping { id } = request {
        clock.lock().unwrap_or_else(PoisonError::into_inner).asked = Some((*id, now()));
    }
    stdin.write_all(&frame).await?;
    stdin.flush().await
}

/// The reading side of a session.
struct Channel {
    stdout: ChildStdout,
    events: UnboundedSender<SessionEvent>,
    timing: Timing,
    clock: Arc<Mutex<Clock>>,
    /// To ask about the clock again; weak, so that it does not keep the session alive.
    again: tokio::sync::mpsc::WeakUnboundedSender<Outgoing>,
}

async fn read_events(
    mut child: Child,
    mut channel: Channel,
    rest: Vec<u8>,
    words: Words,
    way: Way,
) {
    let why = channel.converse(rest).await;
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
            let trouble = of_launcher(&Ended {
                way,
                status: Some(status),
                words: &words,
                printed: "",
                installed: false,
                asked: false,
            });
            format!("its connection ended: {}", trouble.reason)
        }
        (why, status) => describe(why, status, &words),
    };
    let _ = channel.events.send(SessionEvent::Closed(text));
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

impl Channel {
    /// Passes messages on until the stream ends. The text tells why if that was not a plain end.
    async fn converse(&mut self, rest: Vec<u8>) -> Option<String> {
        let timing = self.timing;
        let mut decoder = Decoder::default();
        decoder.push(&rest);
        drop(rest);
        if let Err(error) = self.pass_on(&mut decoder) {
            return Some(error.to_string());
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
                        return Some(format!("nothing heard from it for {seconds:.0} s"));
                    }
                    if seconds > timing.silent_s && !silent {
                        silent = true;
                        let _ = self.events.send(SessionEvent::Silent(seconds));
                    }
                    continue;
                }
                // Nobody listens any more, which is how a session is dropped.
                () = self.events.closed() => return None,
            };
            match read {
                Ok(0) if decoder.is_torn() => {
                    return Some("its channel ended in the middle of a message".to_owned());
                }
                Ok(0) => return None,
                Ok(count) => {
                    decoder.push(&bytes[..count]);
                    if count == room && room < MOST_ROOM {
                        room *= 2;
                        bytes.resize(room, 0);
                    }
                }
                Err(error) => return Some(format!("its channel failed: {error}")),
            }
            heard = Instant::now();
            if std::mem::take(&mut silent) {
                let _ = self.events.send(SessionEvent::Back);
            }
            if let Err(error) = self.pass_on(&mut decoder) {
                return Some(error.to_string());
            }
        }
    }

    fn pass_on(&mut self, decoder: &mut Decoder) -> Result<(), FrameError> {
        while let Some(message) = decoder.take::<FromAgent>()? {
            match message {
                FromAgent::Heartbeat => {}
                FromAgent::Pong { id, mono_ns } => self.clock_told(id, mono_ns),
                message => {
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
            let _ = again.send(Outgoing::Message(ToAgent::Ping { id: 0 }));
        }
    }
}

/// The last words of a launcher or an agent on standard error.
#[derive(Debug, Clone)]
struct Words {
    kept: Arc<Mutex<Vec<u8>>>,
    /// Closed by the listener once nobody can say more.
    ended: tokio::sync::watch::Receiver<()>,
}

impl Words {
    fn listen(stderr: ChildStderr) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (alive, ended) = tokio::sync::watch::channel(());
        let words = Arc::clone(&kept);
        tokio::spawn(async move {
            keep_last_words(stderr, words).await;
            drop(alive);
        });
        Self { kept, ended }
    }

    /// All of them, once nobody can say more.
    async fn all(mut self) -> String {
        let _ = timeout(LEAVING, self.ended.changed()).await;
        self.so_far()
    }

    /// What was said until now.
    fn so_far(&self) -> String {
        let words = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&words).trim().to_owned()
    }
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
