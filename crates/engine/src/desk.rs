//! Commands on a node, one after the other, outside any case.

use std::collections::BTreeMap;
use std::time::Duration;

use flagperf_model::{Limits, ProcessSpec, StepKind};
use flagperf_transport::{Events, Session, SessionEvent};
use flagperf_wire::{FromAgent, Opener, ProcessEnd, TaskDirectory, TaskEnd, TaskId, ToAgent};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// Output of a command that is kept for who reads the answer, in bytes: its end.
const KEPT: usize = 1 << 20;

/// The agent ends a command that takes too long. It is given up when this much more has passed.
const BACKSTOP: Duration = Duration::from_secs(30);

/// Between the request to end and the order to, in seconds: a client asks its engine to stop.
const GRACE_S: f64 = 10.0;

/// The same for a question, which has nothing to stop.
const GRACE_OF_QUESTIONS_S: f64 = 2.0;

/// What is told while steps run, with the node's place in the list of nodes.
pub(crate) type Told = (usize, StepKind, Vec<u8>);

/// Where commands of one node are given.
pub(crate) struct Desk<'a> {
    pub(crate) session: &'a Session,
    pub(crate) events: &'a mut Events,
    /// Counts the tasks of the session.
    pub(crate) next_task: &'a mut u32,
    /// The node's place.
    pub(crate) place: usize,
    /// Who writes down what is printed. It takes its time, and so holds up who prints too fast.
    pub(crate) log: mpsc::Sender<Told>,
    /// How often the user asked to stop.
    pub(crate) stop: watch::Receiver<u32>,
}

/// A command.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    /// It is ended when it has run this long, in seconds.
    pub(crate) timeout_s: f64,
    /// The step whose log gets what it prints; absent for an answer that is only read.
    pub(crate) step: Option<StepKind>,
}

impl Command {
    /// One whose answer is only read.
    pub(crate) fn question(argv: Vec<String>, timeout_s: f64) -> Self {
        Self {
            argv,
            env: BTreeMap::new(),
            timeout_s,
            step: None,
        }
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) end: ProcessEnd,
    /// What it printed, or the end of that.
    pub(crate) output: String,
    /// True if it had to be ended because it took too long.
    pub(crate) timed_out: bool,
}

impl Answer {
    pub(crate) fn is_good(&self) -> bool {
        self.end == ProcessEnd::Status(0) && !self.timed_out
    }

    /// True if there is no such program.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(&self.end, ProcessEnd::NotStarted { reason, .. } if reason.contains("os error 2"))
    }

    /// `exit status 1`, for reasons.
    pub(crate) fn status(&self, timeout_s: f64) -> String {
        if self.timed_out {
            return format!("it took longer than {timeout_s} s");
        }
        match &self.end {
            ProcessEnd::Status(status) => format!("exit status {status}"),
            ProcessEnd::Signal(signal) => format!("ended by signal {signal}"),
            ProcessEnd::NotStarted { program, reason } => {
                format!("`{program}` could not be started: {reason}")
            }
        }
    }
}

/// Why a command gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// The user asked to stop.
    #[error("interrupted by the user")]
    Interrupted,
    /// The node's agent could not do what was asked, for this reason.
    #[error("{0}")]
    Refused(String),
    /// The node is gone, or does not do what it should.
    #[error("{0}")]
    Lost(String),
}

impl Desk<'_> {
    /// Makes a directory ready for a command; gives its path on the node.
    pub(crate) async fn prepare(
        &mut self,
        directory: TaskDirectory,
    ) -> Result<(TaskId, String), NoAnswer> {
        let task = TaskId(*self.next_task);
        *self.next_task += 1;
        self.session.send(ToAgent::Prepare { task, directory });
        let mut stop = self.stop.clone();
        loop {
            // Files may be on their way for long that nobody will use.
            let message = tokio::select! {
                message = self.next(None) => message?,
                stopped = is_asked(&mut stop) => return Err(stopped),
            };
            match message {
                FromAgent::Prepared {
                    task: ready,
                    directory,
                } if ready == task => return Ok((task, directory.unwrap_or_default())),
                FromAgent::Refused {
                    task: refused,
                    reason,
                } if refused == task => return Err(NoAnswer::Refused(reason)),
                _ => {}
            }
        }
    }

    /// Runs a command where the agent is.
    pub(crate) async fn run(&mut self, command: Command) -> Result<Answer, NoAnswer> {
        let (task, _) = self.prepare(TaskDirectory::Any).await?;
        self.run_prepared(task, command).await
    }

    /// Runs a command in the directory that was made ready.
    pub(crate) async fn run_prepared(
        &mut self,
        task: TaskId,
        command: Command,
    ) -> Result<Answer, NoAnswer> {
        let grace_s = match command.step {
            Some(_) => GRACE_S,
            None => GRACE_OF_QUESTIONS_S,
        };
        self.session.send(ToAgent::Run {
            task,
            processes: vec![ProcessSpec {
                rank: 0,
                argv: command.argv,
                env: command.env,
                cwd: None,
                cpus: Vec::new(),
            }],
            limits: Limits {
                timeout_s: command.timeout_s,
                stall_s: command.timeout_s,
                grace_s,
            },
            start_at: 0,
        });
        let deadline =
            Instant::now() + Duration::from_secs_f64(command.timeout_s + grace_s) + BACKSTOP;
        let mut answer = Answer {
            end: ProcessEnd::Status(0),
            output: String::new(),
            timed_out: false,
        };
        let mut output = Vec::new();
        let mut opener = Opener::default();
        let mut asked = 0;
        let mut stop = self.stop.clone();
        loop {
            let stopped = *stop.borrow_and_update();
            if stopped > asked {
                asked = stopped;
                let kill = asked > 1;
                self.session.send(ToAgent::End { task, kill });
            }
            let message = tokio::select! {
                message = self.next(Some(deadline)) => message?,
                _ = stop.changed() => continue,
            };
            match message {
                FromAgent::Output { chunk, .. } => {
                    let bytes = opener
                        .open(chunk)
                        .map_err(|error| NoAnswer::Lost(error.to_string()))?;
                    let count = bytes.len() as u64;
                    output.extend_from_slice(&bytes);
                    let excess = output.len().saturating_sub(KEPT);
                    output.drain(..excess);
                    if let Some(step) = command.step {
                        // Nobody listens only when all is over.
                        let _ = self.log.send((self.place, step, bytes)).await;
                    }
                    self.session.send(ToAgent::Credit { bytes: count });
                }
                FromAgent::Exited {
                    task: ended, end, ..
                } if ended == task => answer.end = end,
                FromAgent::Refused {
                    task: refused,
                    reason,
                } if refused == task => return Err(NoAnswer::Refused(reason)),
                FromAgent::TaskEnded {
                    task: ended, end, ..
                } if ended == task => {
                    answer.timed_out = matches!(end, TaskEnd::TimedOut | TaskEnd::Stalled);
                    break;
                }
                _ => {}
            }
        }
        if asked > 0 {
            return Err(NoAnswer::Interrupted);
        }
        answer.output = String::from_utf8_lossy(&output).into_owned();
        Ok(answer)
    }

    async fn next(&mut self, deadline: Option<Instant>) -> Result<FromAgent, NoAnswer> {
        loop {
            let event = match deadline {
                None => self.events.next().await,
                Some(deadline) => tokio::select! {
                    event = self.events.next() => event,
                    () = sleep_until(deadline) => {
                        let late = "its agent did not tell the end of a command that was due";
                        return Err(NoAnswer::Lost(late.to_owned()));
                    }
                },
            };
            match event {
                Some(SessionEvent::Message(message)) => return Ok(message),
                Some(SessionEvent::Silent(_) | SessionEvent::Back) => {}
                Some(SessionEvent::Closed { reason, .. }) => return Err(NoAnswer::Lost(reason)),
                None => return Err(NoAnswer::Lost("its channel is closed".to_owned())),
            }
        }
    }
}

/// Returns once the user has asked to stop.
async fn is_asked(stop: &mut watch::Receiver<u32>) -> NoAnswer {
    if stop.wait_for(|count| *count > 0).await.is_err() {
        // Nobody can ask any more.
        std::future::pending::<()>().await;
    }
    NoAnswer::Interrupted
}
