//! The thread that owns the agent's state.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flagperf_host::{Monitor, Root};
use flagperf_model::{Limits, ProcessSpec, Timestamp};
use flagperf_wire::{
    ClockAnchor, FromAgent, ProcessEnd, TaskDirectory, TaskEnd, TaskId, Timing, ToAgent,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::channel::{Credit, Outbox, Pump, start_reader, start_writer};
use crate::collect;
use crate::ending::end_everything_below;
use crate::files::SessionFiles;
use crate::input::Input;
use crate::mono_ns;
use crate::reaper::Reaper;
use crate::sampling::Sampling;
use crate::spawn;
use crate::task::{Rank, Task};

/// How long the agent tries to end what it started before it leaves all the same.
const LEAVING: Duration = Duration::from_secs(10);

/// A start is never put off longer than this: a controller that asks for more has its clocks wrong.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Width of a rank's pipe, in bytes.
const PIPE: usize = 512 << 10;

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
/// content hash of this program, `version` its version.
///
/// # Errors
///
/// See [`AgentError`]. Whatever the error, nothing that can be ended is left running.
pub fn serve(
    from: impl Read + Send + 'static,
    to: impl Write + Send + 'static,
    build: [u8; 32],
    version: &str,
) -> Result<(), AgentError> {
    let started = Instant::now();
    let clock = anchor();
    let (inputs, queue) = channel();
    let outbox = start_writer(to, inputs.clone());
    outbox.send(&FromAgent::Hello {
        build,
        version: version.to_owned(),
        pid: std::process::id(),
        clock,
    });
    thread::spawn(crate::cleaning::clean_place);
    let heard = Arc::new(AtomicU64::new(0));
    let reaper = Reaper::start(inputs.clone()).map_err(AgentError::SetUp)?;
    start_reader(from, inputs.clone(), started, Arc::clone(&heard));
    turn_signals_into_inputs(inputs.clone()).map_err(AgentError::SetUp)?;
    let mut agent = Agent {
        root: Root::new("/"),
        started,
        clock,
        timing: Timing::default(),
        next_heartbeat: started,
        last_tick: started,
        heard,
        credit: Arc::new(Credit::new()),
        outbox,
        inputs,
        reaper,
        sampling: None,
        pack: false,
        files: SessionFiles::new(None),
        prepared: None,
        waiting: None,
        task: None,
    };
    let lost = agent.run(&queue);
    let left = end_everything_below(std::process::id(), LEAVING);
    match (lost, left) {
        (None, left) if left.is_empty() => Ok(()),
        (Some(why), left) if left.is_empty() => Err(AgentError::Channel(why)),
        (_, left) => Err(AgentError::Left(left)),
    }
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

struct Agent {
    root: Root,
    started: Instant,
    clock: ClockAnchor,
    timing: Timing,
    next_heartbeat: Instant,
    last_tick: Instant,
    heard: Arc<AtomicU64>,
    credit: Arc<Credit>,
    outbox: Outbox,
    inputs: Sender<Input>,
    reaper: Reaper,
    sampling: Option<Sampling>,
    /// True if output is worth compressing.
    pack: bool,
    files: SessionFiles,
    /// The task that is made ready, and where its processes run.
    prepared: Option<(TaskId, Option<PathBuf>)>,
    /// A task whose moment has not come.
    waiting: Option<Waiting>,
    task: Option<Task>,
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
                Ok(Input::OutputEnded { place }) => {
                    if let Some(task) = &mut self.task {
                        task.output_ended(place);
                    }
                }
                Ok(Input::Reaped { pid, end }) => {
                    if let Some(task) = &mut self.task {
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
            && task.tick(now, &self.root, &self.outbox)
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
            } => {
                self.pack = pack;
                self.timing = timing;
                self.next_heartbeat = Instant::now();
                self.credit.give(window);
                self.files = SessionFiles::new(scratch);
            }
            ToAgent::Ping { id } => self.outbox.send(&FromAgent::Pong {
                id,
                mono_ns: mono_ns(),
            }),
            ToAgent::Shutdown => {}
            ToAgent::Put { tree, bytes, last } => self.files.put(tree, bytes.into_vec(), last),
            ToAgent::Prepare { task, directory } => self.prepare(task, &directory),
            ToAgent::Collect { task } => collect::start(
                task,
                self.files.out(task),
                Arc::clone(&self.credit),
                self.outbox.clone(),
            ),
            ToAgent::Facts => self.facts(),
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
                        strays: Vec::new(),
                        unkillable: Vec::new(),
                        has_files: false,
                    });
                }
                if let Some(running) = self.task.as_mut().filter(|running| running.id() == task) {
                    running.end(kill, Instant::now(), &self.root);
                }
            }
            ToAgent::Credit { bytes } => self.credit.give(bytes),
            ToAgent::MonitorStart { interval_ns } => {
                self.sampling().start(Duration::from_nanos(interval_ns));
            }
            ToAgent::MonitorStop => self.sampling().stop(),
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
        });
        self.sampling.get_or_insert_with(|| {
            Sampling::new(monitor, self.clock, self.started, self.outbox.clone())
        });
    }

    fn refuse(&self, reason: String) {
        self.outbox.send(&FromAgent::Refused { reason });
    }

    fn prepare(&mut self, task: TaskId, directory: &TaskDirectory) {
        let cwd = match directory {
            TaskDirectory::Any => None,
            TaskDirectory::Path(path) => Some(PathBuf::from(path)),
            TaskDirectory::Tree(tree) => match self.files.tree(*tree) {
                Ok(path) => Some(path.to_owned()),
                Err(reason) => return self.refuse(reason),
            },
        };
        // A case that leaves no files can do without a place for them.
        if let Err(error) = self.files.make_out(task) {
            self.outbox.send(&FromAgent::Warning {
                message: format!(
                    "there is no directory for files that a case leaves (FLAGPERF_OUT): {error}"
                ),
            });
        }
        self.prepared = Some((task, cwd));
        self.outbox.send(&FromAgent::Prepared { task });
    }

    fn start_task(&mut self, id: TaskId, processes: &[ProcessSpec], limits: Limits) {
        let Some((_, cwd)) = self.prepared.take_if(|(task, _)| *task == id) else {
            return self.refuse("the task was not prepared".to_owned());
        };
        let out = self.files.out(id);
        if self.task.is_some() {
            self.outbox.send(&FromAgent::Refused {
                reason: "a task is running already; an agent runs one at a time".to_owned(),
            });
            return;
        }
        let shared = if processes.len() > 1 {
            match spawn::shared_file() {
                Ok(file) => Some(file),
                Err(error) => {
                    self.outbox.send(&FromAgent::Refused {
                        reason: format!("no memory file for the ranks could be made: {error}"),
                    });
                    return;
                }
            }
        } else {
            None
        };
        let bytes_read = Arc::new(AtomicU64::new(0));
        let mut ranks = Vec::with_capacity(processes.len());
        for (place, process) in processes.iter().enumerate() {
            let started = self.reaper.spawning(|| {
                let (pipe, output) = io::pipe()?;
                // A wider pipe lets a rank that floods it write on while we read. Where the user may
                // not have so much, the usual width will do.
                let _ = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE);
                let place = spawn::Place {
                    cwd: cwd.as_deref(),
                    out: out.is_dir().then_some(out.as_path()),
                    shared: shared.as_ref(),
                };
                spawn::start(process, output, &place).map(|pid| (pid, pipe))
            });
            let pid = match started {
                Ok((pid, pipe)) => {
                    let pump = Pump {
                        pipe,
                        task: id,
                        rank: process.rank,
                        place,
                        credit: Arc::clone(&self.credit),
                        pack: self.pack,
                        outbox: self.outbox.clone(),
                        inputs: self.inputs.clone(),
                        bytes_read: Arc::clone(&bytes_read),
                    };
                    pump.start();
                    Some(pid)
                }
                Err(error) => {
                    self.outbox.send(&FromAgent::Exited {
                        task: id,
                        rank: process.rank,
                        end: ProcessEnd::NotStarted {
                            program: spawn::program_path(process, cwd.as_deref())
                                .display()
                                .to_string(),
                            reason: error.to_string(),
                        },
                        asked: false,
                        mono_ns: mono_ns(),
                    });
                    None
                }
            };
            ranks.push(Rank {
                number: process.rank,
                pid,
                ended: false,
                output_open: pid.is_some(),
            });
        }
        self.outbox.send(&FromAgent::Started {
            task: id,
            mono_ns: mono_ns(),
        });
        self.task = Some(Task::new(
            id,
            limits,
            ranks,
            bytes_read,
            Arc::clone(&self.credit),
            out,
            Instant::now(),
        ));
    }
}

/// A TCP port that nobody listens on now.
fn free_port() -> Option<u16> {
    let listener = std::net::TcpListener::bind(("0.0.0.0", 0)).ok()?;
    Some(listener.local_addr().ok()?.port())
}
