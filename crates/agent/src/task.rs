//! A task: the processes that run a case on this node, from their start to the moment when none
//! of them, nor anything they started, is left.
//!
//! ```text
//! running ──► (a bound, a request, a failed rank) ──► ending: SIGTERM, after the grace SIGKILL
//!    └──────────────── all ranks ended ◄───────────────────┘
//!                            ▼
//!                  sweeping: whatever the ranks left behind is ended
//!                            ▼
//!                  draining: the rest of the output is sent ──► over
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flagperf_host::{ProcessStat, Root};
use flagperf_model::Limits;
use flagperf_wire::{FromAgent, ProcessEnd, TaskEnd, TaskId};
use rustix::process::Signal;

use crate::channel::{Credit, Outbox};
use crate::ending::{belonging, describe, living_below, signal_all};
use crate::filing::Filing;

/// After one rank failed, the others get this long to end by themselves before they are asked to.
const AFTER_A_FAILED_RANK: Duration = Duration::from_secs(2);

/// Strays get this long between SIGTERM and SIGKILL.
const STRAY_GRACE: Duration = Duration::from_secs(1);

/// A process that SIGKILL does not end within this time is stuck in the kernel.
const UNKILLABLE: Duration = Duration::from_secs(10);

/// Output still in the pipes when all processes are gone is waited for this long: somebody outside
/// the task may hold a pipe open.
const DRAIN: Duration = Duration::from_secs(10);

/// Looks at the processor use of the task within the time after which it counts as stalled. Each
/// look reads all of /proc, so there are not more than needed to be right within a tenth.
const STALL_CHECKS: f64 = 12.0;

/// Longest time between two looks, in seconds.
const STALL_CHECK_MAX_S: f64 = 5.0;

/// While processes are being ended, time between two looks at who is left.
const ENDING_CHECK: Duration = Duration::from_millis(10);

/// Use of a processor below this share of one core counts as none: watchdog threads of a hung
/// program still wake up now and then.
const IDLE_SHARE: f64 = 0.01;

/// A running task.
pub(crate) struct Task {
    id: TaskId,
    limits: Limits,
    ranks: Vec<Rank>,
    started: Instant,
    bytes_read: Arc<AtomicU64>,
    credit: Arc<Credit>,
    quiet: Quiet,
    rank_failed: Option<Instant>,
    why: TaskEnd,
    /// When its end began, on `CLOCK_MONOTONIC`.
    ended_ns: u64,
    /// Processes that the kernel had ended for lack of memory before it began.
    oom_kills: u64,
    stage: Stage,
    strays: BTreeSet<String>,
    unkillable: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Rank {
    pub(crate) number: u32,
    /// Absent if it was never started.
    pub(crate) pid: Option<u32>,
    pub(crate) ended: bool,
    pub(crate) output_open: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Running,
    /// Asked to end; SIGKILL is due then.
    Ending {
        kill_at: Instant,
    },
    /// The ranks are gone; what they left is asked to end, and killed then.
    Sweeping {
        kill_at: Instant,
    },
    Draining {
        until: Instant,
    },
}

/// What is known of the task's activity since it was last seen active.
#[derive(Debug, Clone, Copy)]
struct Quiet {
    since: Instant,
    bytes: u64,
    ticks: u64,
    check_at: Instant,
}

impl Task {
    pub(crate) fn new(
        id: TaskId,
        limits: Limits,
        ranks: Vec<Rank>,
        bytes_read: Arc<AtomicU64>,
        credit: Arc<Credit>,
        now: Instant,
    ) -> Self {
        Self {
            id,
            limits,
            rank_failed: ranks.iter().any(|rank| rank.pid.is_none()).then_some(now),
            ranks,
            started: now,
            bytes_read,
            credit,
            quiet: Quiet {
                since: now,
                bytes: 0,
                ticks: 0,
                check_at: now + stall_check(&limits),
            },
            why: TaskEnd::Finished,
            ended_ns: 0,
            oom_kills: flagperf_host::oom_kills(&Root::new("/")),
            stage: Stage::Running,
            strays: BTreeSet::new(),
            unkillable: Vec::new(),
        }
    }

    pub(crate) fn id(&self) -> TaskId {
        self.id
    }

    /// A child of the agent ended. It may be a rank, or an orphan that one of them left.
    pub(crate) fn reaped(&mut self, pid: u32, end: ProcessEnd, now: Instant, outbox: &Outbox) {
        let Some(rank) = self
            .ranks
            .iter_mut()
            .find(|rank| rank.pid == Some(pid) && !rank.ended)
        else {
            return;
        };
        rank.ended = true;
        let asked = self.stage != Stage::Running;
        if !asked && end != ProcessEnd::Status(0) {
            self.rank_failed.get_or_insert(now);
        }
        outbox.send(&FromAgent::Exited {
            task: self.id,
            rank: rank.number,
            end,
            asked,
            mono_ns: crate::mono_ns(),
        });
    }

    pub(crate) fn output_ended(&mut self, place: usize) {
        if let Some(rank) = self.ranks.get_mut(place) {
            rank.output_open = false;
        }
    }

    /// The controller wants it ended.
    pub(crate) fn end(&mut self, kill: bool, now: Instant, root: &Root, spared: &[u32]) {
        match self.stage {
            Stage::Running => {
                self.begin_ending(TaskEnd::Requested, now, root, spared);
                if kill {
                    self.stage = Stage::Ending { kill_at: now };
                }
            }
            Stage::Ending { .. } if kill => self.stage = Stage::Ending { kill_at: now },
            Stage::Sweeping { .. } if kill => self.stage = Stage::Sweeping { kill_at: now },
            Stage::Ending { .. } | Stage::Sweeping { .. } | Stage::Draining { .. } => {}
        }
    }

    fn begin_ending(&mut self, why: TaskEnd, now: Instant, root: &Root, spared: &[u32]) {
        self.why = why;
        self.ended_ns = crate::mono_ns();
        let processes = of_task(root, spared);
        signal_all(root, &processes, Signal::TERM);
        // A stopped process does not see SIGTERM before it is continued.
        signal_all(root, &processes, Signal::CONT);
        self.stage = Stage::Ending {
            kill_at: now + seconds(self.limits.grace_s),
        };
    }

    /// Does what is due. True when the task is over and the end was told.
    pub(crate) fn tick(
        &mut self,
        now: Instant,
        root: &Root,
        filing: &Filing,
        spared: &[u32],
    ) -> bool {
        if self.stage == Stage::Running {
            self.watch(now, root, spared);
        }
        if let Stage::Running | Stage::Ending { .. } = self.stage
            && self
                .ranks
                .iter()
                .all(|rank| rank.ended || rank.pid.is_none())
        {
            self.begin_sweeping(now, root, spared);
        }
        match self.stage {
            Stage::Running => {}
            Stage::Ending { kill_at } => {
                if now >= kill_at {
                    let left = of_task(root, spared);
                    signal_all(root, &left, Signal::KILL);
                    if now >= kill_at + UNKILLABLE {
                        self.unkillable = left.iter().map(describe).collect();
                        self.stage = Stage::Draining { until: now };
                    }
                }
            }
            Stage::Sweeping { kill_at } => {
                let left = of_task(root, spared);
                if left.is_empty() {
                    self.stage = Stage::Draining { until: now + DRAIN };
                } else if now >= kill_at {
                    signal_all(root, &left, Signal::KILL);
                    if now >= kill_at + UNKILLABLE {
                        self.unkillable = left.iter().map(describe).collect();
                        self.stage = Stage::Draining { until: now };
                    }
                }
            }
            Stage::Draining { .. } => {}
        }
        if let Stage::Draining { until } = self.stage
            && (now >= until || self.ranks.iter().all(|rank| !rank.output_open))
        {
            let message = FromAgent::TaskEnded {
                task: self.id,
                end: self.why,
                mono_ns: self.ended_ns,
                strays: self.strays.iter().cloned().collect(),
                unkillable: std::mem::take(&mut self.unkillable),
                oom_kills: flagperf_host::oom_kills(root).saturating_sub(self.oom_kills),
                has_files: false,
            };
            filing.tell_end(self.id, message);
            return true;
        }
        false
    }

    fn begin_sweeping(&mut self, now: Instant, root: &Root, spared: &[u32]) {
        let left = of_task(root, spared);
        // Children of ranks that were told to end are not strays yet: they got the same signal.
        if self.stage == Stage::Running {
            self.ended_ns = crate::mono_ns();
            self.strays
                .extend(left.iter().map(|process| process.comm.clone()));
        }
        signal_all(root, &left, Signal::TERM);
        signal_all(root, &left, Signal::CONT);
        let grace = match self.stage {
            Stage::Ending { kill_at } => kill_at,
            _ => now + STRAY_GRACE.min(seconds(self.limits.grace_s)),
        };
        self.stage = Stage::Sweeping { kill_at: grace };
    }

    fn watch(&mut self, now: Instant, root: &Root, spared: &[u32]) {
        if now >= self.started + seconds(self.limits.timeout_s) {
            self.begin_ending(TaskEnd::TimedOut, now, root, spared);
        } else if self
            .rank_failed
            .is_some_and(|at| now >= at + AFTER_A_FAILED_RANK)
        {
            self.begin_ending(TaskEnd::Finished, now, root, spared);
        } else if now >= self.quiet.check_at {
            self.quiet.check_at = now + stall_check(&self.limits);
            let bytes = self.bytes_read.load(Ordering::Relaxed);
            let ticks = of_task(root, spared)
                .iter()
                .map(|process| process.cpu_ticks)
                .sum::<u64>();
            let used = ticks.abs_diff(self.quiet.ticks) as f64 / ticks_per_second();
            let for_s = now.duration_since(self.quiet.since).as_secs_f64();
            // One tick is allowed on top, or the first second could never count as idle.
            let idle = used <= IDLE_SHARE * for_s + 1.0 / ticks_per_second();
            if bytes != self.quiet.bytes || !idle || self.credit.is_short() {
                self.quiet.since = now;
                self.quiet.bytes = bytes;
                self.quiet.ticks = ticks;
            } else if for_s >= self.limits.stall_s {
                self.begin_ending(TaskEnd::Stalled, now, root, spared);
            }
        }
    }

    /// When [`tick`](Self::tick) is due next, if nothing else happens before.
    pub(crate) fn next_tick(&self, now: Instant) -> Instant {
        match self.stage {
            Stage::Running => {
                let timeout = self.started + seconds(self.limits.timeout_s);
                let failed = self
                    .rank_failed
                    .map_or(timeout, |at| at + AFTER_A_FAILED_RANK);
                timeout.min(failed).min(self.quiet.check_at)
            }
            Stage::Ending { .. } | Stage::Sweeping { .. } | Stage::Draining { .. } => {
                now + ENDING_CHECK
            }
        }
    }
}

/// The living processes of the task: all below the agent but those that it hands through, its status tools, and
/// what is below these.
fn of_task(root: &Root, spared: &[u32]) -> Vec<ProcessStat> {
    let processes = living_below(root, std::process::id());
    if spared.is_empty() {
        return processes;
    }
    belonging(&processes, spared)
        .filter(|(_, belongs)| !belongs)
        .map(|(process, _)| process.clone())
        .collect()
}

fn stall_check(limits: &Limits) -> Duration {
    seconds((limits.stall_s / STALL_CHECKS).clamp(0.05, STALL_CHECK_MAX_S))
}

/// A number of seconds as a duration that can be added to any `Instant`: at most ten years.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.clamp(0.0, 315_360_000.0)).unwrap_or_default()
}

fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}
