//! The thread that owns the agent's state.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flagperf_host::{Monitor, Root};
use flagperf_model::{Limits, ProcessSpec, Timestamp};
use flagperf_wire::{ClockAnchor, FromAgent, TaskEnd, TaskId, Timing, ToAgent};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::at_end::AtEnd;
use crate::channel::{Credit, Outbox, start_reader, start_writer};
use crate::ending::end_everything_below;
use crate::filing::{Filing, Prepared};
use crate::input::Input;
use crate::mono_ns;
use crate::reaper::Reaper;
use crate::relay::Relays;
use crate::sampling::Sampling;
use crate::task::Task;

/// How long the agent tries to end what it started before it leaves all the same.
const LEAVING: Duration = Duration::from_secs(10);

/// A start is never put off longer than this: a controller that asks for more has its clocks wrong.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How long the agent then tries to remove its files.
const TIDYING: Duration = Duration::from_secs(5);

/// Why an agent did not come to a plain end.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// It could not set itself up.
    #[error("the agent could not be set up")]
    SetUp(#[source] io::Error),
    /// The channel broke, or the controller fell silent.
    #[error("the channel to the controller is lost: {0}")]
    Channel(String),
    /// Something could not be ended.
    #[error("processes that could not be ended are left: {}", .0.join(", "))]
    Left(Vec<String>),
}

/// Serves one controller until the channel ends, then ends everything it started. `build` is the
/// content hash of this program, `size` that of its file in bytes, `version` its version.
///
/// # Errors
///
/// See [`AgentError`]. Whatever the error, nothing that can be ended is left running.
pub fn serve(
    from: impl Read + Send + 'static,
    to: impl Write + Send + 'static,
    build: [u8; 32],
    size: u64,
    version: &str,
) -> Result<(), AgentError> {
    let started = Instant::now();
    let clock = anchor();
    let (inputs, queue) = channel();
    let outbox = start_writer(to, inputs.clone());
    outbox.send(&FromAgent::Hello {
        build,
        size,
        version: version.to_owned(),
        pid: std::process::id(),
        started: flagperf_host::process(&Root::new("/"), std::process::id())
            .map_or(0, |process| process.starttime),
        program: std::env::current_exe()
            .map(|path| path.to_string_lossy().into_owned())
            .unwrap_or_default(),
        clock,
    });
    thread::spawn(crate::cleaning::clean_place);
    let heard = Arc::new(AtomicU64::new(0));
    let reaper = Reaper::start(inputs.clone()).map_err(AgentError::SetUp)?;
    start_reader(from, inputs.clone(), started, Arc::clone(&heard));
    turn_signals_into_inputs(inputs.clone()).map_err(AgentError::SetUp)?;
    let credit = Arc::new(Credit::new());
    let mut agent = Agent {
        root: Root::new("/"),
        started,
        clock,
        timing: Timing::default(),
        next_heartbeat: started,
        last_tick: started,
        heard,
        filing: Filing::start(Arc::clone(&credit), outbox.clone(), inputs.clone()),
        relays: Relays::new(Arc::clone(&credit), outbox.clone(), inputs.clone()),
        at_end: AtEnd::default(),
        credit,
        outbox,
        inputs,
        reaper,
        sampling: None,
        pack: false,
        prepared: None,
        waiting: None,
        task: None,
    };
    let lost = agent.run(&queue);
    let mut left = end_everything_below(std::process::id(), LEAVING);
    if !agent.at_end.is_empty() {
        agent.at_end.run(&agent.reaper, &queue);
        left = end_everything_below(std::process::id(), LEAVING);
    }
    agent.filing.close(TIDYING);
    match (lost, left) {
        (None, left) if left.is_empty() => Ok(()),
        (Some(why), left) if left.is_empty() => Err(AgentError::Channel(why)),
        (_, left) => Err(AgentError::Left(left)),
    }
}

/// Waits until this process is asked to end. What keeps a container alive is its first process.
///
/// # Errors
///
/// The signals cannot be listened for.
pub fn stay() -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
    signals.forever().next();
    Ok(())
}

/// A signal that would end this process ends the session instead, so that nothing is left behind.
/// One of them comes by itself: the kernel sends SIGHUP to a stopped process whose parent dies.
fn turn_signals_into_inputs(inputs: Sender<Input>) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
    thread::spawn(move || {
        for signal in &mut signals {
            let why = format!("the agent was ended by signal {signal}");
            if inputs.send(Input::Closed(Some(why))).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn anchor() -> ClockAnchor {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    ClockAnchor {
        unix: Timestamp(since.map_or(0, |since| since.as_nanos() as i64)),
        mono_ns: mono_ns(),
    }
}

/// The agent's state.
pub(crate) struct Agent {
    root: Root,
    started: Instant,
    clock: ClockAnchor,
    timing: Timing,
    next_heartbeat: Instant,
    last_tick: Instant,
    heard: Arc<AtomicU64>,
    filing: Filing,
    relays: Relays,
    at_end: AtEnd,
    pub(crate) credit: Arc<Credit>,
    pub(crate) outbox: Outbox,
    pub(crate) inputs: Sender<Input>,
    pub(crate) reaper: Reaper,
    sampling: Option<Sampling>,
    /// True if output is worth compressing.
    pub(crate) pack: bool,
    /// The task that is made ready.
    pub(crate) prepared: Option<Prepared>,
    /// A task whose moment has not come.
    waiting: Option<Waiting>,
    pub(crate) task: Option<Task>,
}

/// A task that starts at a moment.
struct Waiting {
    at: Instant,
    task: TaskId,
    processes: Vec<ProcessSpec>,
    limits: Limits,
}

impl Agent {
    /// Takes inputs until the session is over. The text tells why if that was not orderly.
    fn run(&mut self, queue: &Receiver<Input>) -> Option<String> {
        loop {
            let now = Instant::now();
            let mut due = self.next_heartbeat;
            if let Some(task) = &self.task {
                due = due.min(task.next_tick(now));
            }
            if let Some(waiting) = &self.waiting {
                due = due.min(waiting.at);
            }
            match queue.recv_timeout(due.saturating_duration_since(now)) {
                Ok(Input::Closed(why)) => return why,
                Ok(Input::Request(ToAgent::Shutdown)) => return None,
                Ok(Input::Request(request)) => self.request(request),
                Ok(Input::Prepared(prepared)) => {
                    let ready = FromAgent::Prepared {
                        task: prepared.task,
                        directory: prepared
                            .cwd
                            .as_ref()
                            .map(|path| path.to_string_lossy().into_owned()),
                    };
                    self.prepared = Some(prepared);
                    self.outbox.send(&ready);
                }
                Ok(Input::OutputEnded { place }) => {
                    if let Some(task) = &mut self.task {
                        task.output_ended(place);
                    }
                }
                Ok(Input::StreamEnded(channel)) => self.relays.stream_ended(channel),
                Ok(Input::Reaped { pid, end }) => {
                    if !self.relays.reaped(pid, &end)
                        && let Some(task) = &mut self.task
                    {
                        task.reaped(pid, end, Instant::now(), &self.outbox);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
            if let Some(silence) = self.tick() {
                return Some(silence);
            }
        }
    }

    fn tick(&mut self) -> Option<String> {
        let now = Instant::now();
        // The loop turns at least once a heartbeat. If it did not, this process was stopped, and
        // what the controller said meanwhile is still to be read.
        let pause = now.duration_since(self.last_tick).as_secs_f64();
        if pause > 2.0 * self.timing.heartbeat_s + 1.0 {
            let millis = self.started.elapsed().as_millis() as u64;
            self.heard.fetch_max(millis, Ordering::Relaxed);
        }
        self.last_tick = now;
        if self
            .waiting
            .as_ref()
            .is_some_and(|waiting| now >= waiting.at)
            && let Some(waiting) = self.waiting.take()
        {
            self.start_task(waiting.task, &waiting.processes, waiting.limits);
        }
        if let Some(task) = &mut self.task
            && task.tick(now, &self.root, &self.filing, &self.relays.pids())
        {
            self.task = None;
        }
        if now >= self.next_heartbeat {
            self.outbox.send(&FromAgent::Heartbeat);
            self.next_heartbeat = now + Duration::from_secs_f64(self.timing.heartbeat_s.max(0.01));
            let heard = Duration::from_millis(self.heard.load(Ordering::Relaxed));
            let silent = self.started.elapsed().saturating_sub(heard).as_secs_f64();
            if silent > self.timing.lost_s {
                return Some(format!(
                    "nothing heard from the controller for {silent:.0} s"
                ));
            }
        }
        None
    }

    fn request(&mut self, request: ToAgent) {
        match request {
            ToAgent::Hello {
                timing,
                window,
                pack,
                scratch,
                name,
            } => {
                self.pack = pack;
                self.timing = timing;
                self.next_heartbeat = Instant::now();
                self.credit.give(window);
                self.filing.use_place(scratch, name);
                self.facts();
            }
            ToAgent::Ping { id } => self.outbox.send(&FromAgent::Pong {
                id,
                mono_ns: mono_ns(),
            }),
            ToAgent::Shutdown => {}
            ToAgent::Put { tree, bytes, last } => self.filing.put(tree, bytes.into_vec(), last),
            ToAgent::Prepare { task, directory } => self.filing.prepare(task, directory),
            ToAgent::Collect { task } => self.filing.collect(task),
            ToAgent::Run {
                task,
                processes,
                limits,
                start_at,
            } => {
                let ahead = Duration::from_nanos(start_at.saturating_sub(mono_ns()));
                self.waiting = Some(Waiting {
                    at: Instant::now() + ahead.min(LONGEST_WAIT),
                    task,
                    processes,
                    limits,
                });
            }
            ToAgent::End { task, kill } => {
                // One that has not begun is over before it does.
                if self
                    .waiting
                    .take_if(|waiting| waiting.task == task)
                    .is_some()
                {
                    self.outbox.send(&FromAgent::TaskEnded {
                        task,
                        end: TaskEnd::Requested,
                        mono_ns: mono_ns(),
                        strays: Vec::new(),
                        unkillable: Vec::new(),
                        oom_kills: 0,
                        has_files: false,
                    });
                }
                if let Some(running) = self.task.as_mut().filter(|running| running.id() == task) {
                    running.end(kill, Instant::now(), &self.root, &self.relays.pids());
                }
            }
            ToAgent::Open { channel, process } => {
                self.relays.open(channel, &process, &self.reaper);
            }
            ToAgent::Write { channel, bytes } => self.relays.write(channel, bytes.into_vec()),
            ToAgent::HangUp { channel } => self.relays.hang_up(channel),
            ToAgent::AtEnd { undo, process } => match process {
                Some(process) => self.at_end.remember(undo, process),
                None => self.at_end.forget(undo),
            },
            ToAgent::Credit { bytes } => self.credit.give(bytes),
            ToAgent::MonitorStart { interval_ns } => {
                self.sampling().start(Duration::from_nanos(interval_ns));
            }
            ToAgent::MonitorStop { task } => self.sampling().stop(task),
        }
    }

    fn sampling(&mut self) -> &Sampling {
        self.sampling.get_or_insert_with(|| {
            let monitor = Monitor::open(&self.root);
            Sampling::new(monitor, self.clock, self.started, self.outbox.clone())
        })
    }

    fn facts(&mut self) {
        let monitor = Monitor::open(&self.root);
        self.outbox.send(&FromAgent::Facts {
            facts: Box::new(flagperf_host::facts(&self.root)),
            series: monitor.series().to_vec(),
            absent: monitor.absent().to_vec(),
            address: flagperf_host::address(&self.root),
            free_port: free_port(),
            place: flagperf_host::place(&self.root),
        });
        self.sampling.get_or_insert_with(|| {
            Sampling::new(monitor, self.clock, self.started, self.outbox.clone())
        });
    }

    pub(crate) fn refuse(&self, task: TaskId, reason: String) {
        self.outbox.send(&FromAgent::Refused { task, reason });
    }
}

/// A TCP port that nobody listens on now.
fn free_port() -> Option<u16> {
    let listener = std::net::TcpListener::bind(("0.0.0.0", 0)).ok()?;
    Some(listener.local_addr().ok()?.port())
}
