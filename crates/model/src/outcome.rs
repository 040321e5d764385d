//! How a case ended, and why.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{NodeName, StepKind, fold};

/// Names of nodes that take more bytes than this are not all told in a sentence.
const LONGEST_LIST: usize = 200;

/// Where in its life a case was when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Its processes were being started.
    Launch,
    /// Its processes were running.
    Run,
    /// Its output was being read for results.
    Parse,
}

/// Why a case failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A process could not be started.
    Spawn {
        /// The rank.
        rank: u32,
        /// The program.
        program: String,
        /// The system's reason.
        reason: String,
    },
    /// A process ended with a status other than 0.
    Exit {
        /// The rank.
        rank: u32,
        /// Its exit status.
        status: i32,
    },
    /// A process was ended by a signal that the harness did not send.
    Signal {
        /// The rank.
        rank: u32,
        /// The signal's number.
        signal: i32,
    },
    /// The memory that it may use ran out, and the kernel ended processes of it.
    OutOfMemory {
        /// The rank that failed first.
        rank: u32,
        /// How many processes the kernel ended.
        killed: u64,
    },
    /// The case itself reported a failure, a wrong result for example.
    Reported {
        /// The rank.
        rank: u32,
        /// Its words.
        message: String,
    },
    /// The case ended well but reported nothing.
    NoResult,
    /// What it runs in could not be made ready: its container, or what it needs there.
    Environment {
        /// The step that failed.
        step: StepKind,
        /// Why.
        reason: String,
    },
    /// The agent refused or could not do what was asked.
    Agent {
        /// Its words.
        reason: String,
    },
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every process ended with status 0 and results were reported.
    Passed,
    /// The machine lacks what the case needs; nothing was measured.
    Unsupported {
        /// What is missing.
        feature: String,
    },
    /// It failed.
    Failed {
        /// The node on which it failed first.
        node: NodeName,
        /// Where in its life.
        stage: Stage,
        /// Why.
        cause: Cause,
        /// Other nodes on which it failed by itself, and those that were lost later.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        also: Vec<NodeName>,
    },
    /// It ran longer than allowed and was ended.
    TimedOut {
        /// The limit, in seconds.
        limit_s: f64,
    },
    /// It neither wrote output nor used a processor for too long and was ended.
    Stalled {
        /// The node.
        node: NodeName,
        /// The limit, in seconds.
        limit_s: f64,
    },
    /// The user ended it.
    Aborted,
    /// The node stopped answering while it ran.
    Lost {
        /// The node.
        node: NodeName,
        /// What is known.
        reason: String,
    },
    /// The run ended before its turn came.
    NotRun,
    /// It was not started, although every node that is there could run it.
    Skipped {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// One word for tables: `passed`, `failed`, `timed out`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Unsupported { .. } => "not supported",
            Self::Failed { .. } => "failed",
            Self::TimedOut { .. } => "timed out",
            Self::Stalled { .. } => "stalled",
            Self::Aborted => "aborted",
            Self::Lost { .. } => "lost",
            Self::NotRun => "not run",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// The node that it ended on, where it ended on one.
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Failed { node, .. } | Self::Stalled { node, .. } | Self::Lost { node, .. } => {
                Some(node)
            }
            Self::Passed
            | Self::Unsupported { .. }
            | Self::TimedOut { .. }
            | Self::Aborted
            | Self::NotRun
            | Self::Skipped { .. } => None,
        }
    }

    /// True for ends that make a run fail: everything but `Passed` and `Unsupported`.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Self::Passed | Self::Unsupported { .. })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Unsupported { feature } => {
                // What is missing may also be cores, which are not a matter of the processor alone.
                if feature.starts_with("at least") {
                    write!(f, "not supported here: {feature}")
                } else {
                    write!(f, "not supported by this processor: {feature}")
                }
            }
            Self::Failed {
                node, cause, also, ..
            } => {
                write!(f, "failed on {node}: {cause}")?;
                let names = fold(also);
                match &also[..] {
                    [] => Ok(()),
                    [one, more @ ..] if names.len() > LONGEST_LIST => {
                        write!(f, "; also on {one} and {} more", more.len())
                    }
                    _ => write!(f, "; also on {names}"),
                }
            }
            Self::TimedOut { limit_s } => write!(f, "timed out: the limit is {limit_s} s"),
            Self::Stalled { node, limit_s } => write!(
                f,
                "stalled on {node}: no output and no processor use for {limit_s} s"
            ),
            Self::Aborted => f.write_str("aborted: interrupted by the user"),
            Self::Lost { node, reason } => write!(f, "lost: node {node}: {reason}"),
            Self::NotRun => f.write_str("not run: the run ended before its turn"),
            Self::Skipped { reason } => write!(f, "skipped: {reason}"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn {
                rank,
                program,
                reason,
            } => write!(f, "rank {rank}: `{program}` could not be started: {reason}"),
            Self::Exit { rank, status } => write!(f, "rank {rank} ended with exit status {status}"),
            Self::Signal { rank, signal } => {
                write!(f, "rank {rank} was ended by signal {signal}")?;
                match signal_name(*signal) {
                    Some(name) => write!(f, " ({name})"),
                    None => Ok(()),
                }
            }
            Self::OutOfMemory { rank, killed } => {
                let processes = if *killed == 1 { "process" } else { "processes" };
                write!(
                    f,
                    "rank {rank} failed because memory ran out: the kernel ended {killed} {processes} of the case"
                )
            }
            Self::Reported { rank, message } => write!(f, "rank {rank}: {message}"),
            Self::NoResult => f.write_str("it ended with status 0 but reported no result"),
            Self::Environment { step, reason } => write!(f, "{step}: {reason}"),
            Self::Agent { reason } => f.write_str(reason),
        }
    }
}

/// Names of the Linux signals that end processes, from signal(7); the numbers are those of x86 and Arm.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP, hangup",
        2 => "SIGINT, interrupt",
        3 => "SIGQUIT, quit",
        4 => "SIGILL, illegal instruction",
        6 => "SIGABRT, abort",
        7 => "SIGBUS, bad memory access",
        8 => "SIGFPE, arithmetic error",
        9 => "SIGKILL, killed; often by the kernel when memory runs out",
        11 => "SIGSEGV, bad memory access",
        13 => "SIGPIPE, broken pipe",
        14 => "SIGALRM, alarm",
        15 => "SIGTERM, terminated",
        24 => "SIGXCPU, processor time limit",
        25 => "SIGXFSZ, file size limit",
        31 => "SIGSYS, forbidden system call",
        _ => return None,
    })
}
