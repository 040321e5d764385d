//! Worker threads that stay: one per processor, pinned, started once and reused for every product.
//!
//! A waiting thread spins for a bounded time, which costs nothing when the next step follows at
//! once, and then sleeps in the kernel, so that an idle team leaves its processors to others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, futex, sched_setaffinity};

/// Turns of the waiting loop before a thread sleeps: some tens of microseconds, the order of what a
/// sleep and a wake-up cost.
const SPINS: u32 = 10_000;

/// What a team does: the same steps, again and again.
pub(super) trait Job: Send + Sync + 'static {
    /// Does the part of `step` that falls to `worker`.
    fn execute(&self, step: Step, worker: usize);
}

/// The steps of a [`Job`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Fill the operands, which places their pages.
    Fill,
    /// Compute one product.
    Multiply,
}

/// A number that threads wait on until it changes.
pub(super) struct Signal {
    value: AtomicU32,
    sleepers: AtomicU32,
}

impl Signal {
    pub(super) fn new(value: u32) -> Self {
        Self {
            value: AtomicU32::new(value),
            sleepers: AtomicU32::new(0),
        }
    }

    pub(super) fn get(&self) -> u32 {
        self.value.load(Ordering::SeqCst)
    }

    /// Sets the number and wakes every thread that waits.
    pub(super) fn set(&self, value: u32) {
        self.value.store(value, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) != 0 {
            // The call fails only for bad addresses and flags.
            let _woken = futex::wake(&self.value, futex::Flags::PRIVATE, i32::MAX as u32);
        }
    }

    /// Waits until the number differs from `old`, and returns it.
    pub(super) fn wait_past(&self, old: u32, spins: u32) -> u32 {
        for _ in 0..spins {
            let value = self.get();
            if value != old {
                return value;
            }
            std::hint::spin_loop();
        }
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        loop {
            let value = self.get();
            if value != old {
                self.sleepers.fetch_sub(1, Ordering::SeqCst);
                return value;
            }
            // Returns at once when the number is no longer `old`; interruptions are harmless.
            let _result = futex::wait(&self.value, futex::Flags::PRIVATE, old, None);
        }
    }
}

/// A meeting point of a fixed number of threads, usable again and again.
pub(super) struct Barrier {
    members: u32,
    arrived: AtomicU32,
    generation: Signal,
}

impl Barrier {
    pub(super) fn new(members: usize) -> Self {
        Self {
            members: members as u32,
            arrived: AtomicU32::new(0),
            generation: Signal::new(0),
        }
    }

    /// Returns once all members have come; what they wrote before is visible after.
    pub(super) fn meet(&self) {
        if self.members == 1 {
            return;
        }
        let generation = self.generation.get();
        if self.arrived.fetch_add(1, Ordering::SeqCst) + 1 == self.members {
            self.arrived.store(0, Ordering::SeqCst);
            self.generation.set(generation.wrapping_add(1));
        } else {
            self.generation.wait_past(generation, SPINS);
        }
    }
}

const QUIT: u32 = 0;
const FILL: u32 = 1;
const MULTIPLY: u32 = 2;

struct Shared {
    job: Arc<dyn Job>,
    origin: Instant,
    command: AtomicU32,
    epoch: Signal,
    pending: AtomicU32,
    finished: Signal,
    finished_at: AtomicU64,
}

/// The threads, which end when the team is dropped.
pub(super) struct Team {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Why a team could not be formed.
#[derive(Debug, thiserror::Error)]
pub enum TeamError {
    /// The system refused a thread.
    #[error("cannot start a worker thread")]
    Spawn(#[source] std::io::Error),
    /// The processor does not exist or is not allowed to this process.
    #[error("cannot pin a worker to processor {cpu}")]
    Pin {
        /// The number of the processor.
        cpu: usize,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl Team {
    /// Starts one thread on each of `cpus`.
    pub(super) fn new(cpus: &[usize], job: Arc<dyn Job>) -> Result<Self, TeamError> {
        let shared = Arc::new(Shared {
            job,
            origin: Instant::now(),
            command: AtomicU32::new(QUIT),
            epoch: Signal::new(0),
            pending: AtomicU32::new(0),
            finished: Signal::new(0),
            finished_at: AtomicU64::new(0),
        });
        // Dropped on an early return, which ends the threads started so far.
        let mut team = Self {
            shared,
            threads: Vec::with_capacity(cpus.len()),
        };
        let (report, reports) = std::sync::mpsc::channel();
        for (worker, &cpu) in cpus.iter().enumerate() {
            let shared = Arc::clone(&team.shared);
            let report = report.clone();
            let thread = std::thread::Builder::new()
                .name(format!("gemm-{worker}"))
                .spawn(move || {
                    // The team waits for the report, so the channel is open.
                    let _sent = report.send(pin(cpu));
                    drop(report);
                    work(&shared, worker);
                })
                .map_err(TeamError::Spawn)?;
            team.threads.push(thread);
        }
        drop(report);
        for result in reports {
            result?;
        }
        Ok(team)
    }

    /// Lets all workers do `step` and returns the time from its announcement to the last one's end.
    pub(super) fn run(&mut self, step: Step) -> Duration {
        let shared = &self.shared;
        let command = match step {
            Step::Fill => FILL,
            Step::Multiply => MULTIPLY,
        };
        shared.command.store(command, Ordering::SeqCst);
        shared
            .pending
            .store(self.threads.len() as u32, Ordering::SeqCst);
        let before = shared.finished.get();
        let start = shared.origin.elapsed();
        shared.epoch.set(shared.epoch.get().wrapping_add(1));
        // No spinning: a worker needs this processor.
        shared.finished.wait_past(before, 0);
        let end = Duration::from_nanos(shared.finished_at.load(Ordering::SeqCst));
        end.saturating_sub(start)
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.command.store(QUIT, Ordering::SeqCst);
        self.shared
            .epoch
            .set(self.shared.epoch.get().wrapping_add(1));
        for thread in self.threads.drain(..) {
            // A worker does not panic: see `Fatal`.
            let _joined = thread.join();
        }
    }
}

fn work(shared: &Shared, worker: usize) {
    let mut epoch = 0;
    loop {
        epoch = shared.epoch.wait_past(epoch, SPINS);
        let step = match shared.command.load(Ordering::SeqCst) {
            FILL => Step::Fill,
            MULTIPLY => Step::Multiply,
            _ => return,
        };
        let fatal = Fatal;
        shared.job.execute(step, worker);
        std::mem::forget(fatal);
        if shared.pending.fetch_sub(1, Ordering::SeqCst) == 1 {
            let now = shared.origin.elapsed().as_nanos() as u64;
            shared.finished_at.store(now, Ordering::SeqCst);
            shared.finished.set(epoch);
        }
    }
}

/// Ends the process when dropped, that is when a worker panics: the others would wait for ever.
struct Fatal;

impl Drop for Fatal {
    fn drop(&mut self) {
        std::process::abort();
    }
}

/// Binds the calling thread to one processor.
pub(crate) fn pin(cpu: usize) -> Result<(), TeamError> {
    let refuse = |errno: rustix::io::Errno| TeamError::Pin {
        cpu,
        source: errno.into(),
    };
    if cpu >= CpuSet::MAX_CPU {
        return Err(refuse(rustix::io::Errno::INVAL));
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::{Barrier, Job, Step, Team, TeamError};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Count {
        barrier: Barrier,
        sum: AtomicUsize,
        torn: AtomicUsize,
    }

    impl Job for Count {
        fn execute(&self, step: Step, worker: usize) {
            if step == Step::Fill {
                return;
            }
            for round in 1..=100 {
                self.sum.fetch_add(worker + 1, Ordering::SeqCst);
                self.barrier.meet();
                if !self.sum.load(Ordering::SeqCst).is_multiple_of(6) {
                    self.torn.fetch_add(round, Ordering::SeqCst);
                }
                self.barrier.meet();
            }
        }
    }

    #[test]
    fn barriers_keep_rounds_apart_on_one_processor() {
        let job = Arc::new(Count {
            barrier: Barrier::new(3),
            sum: AtomicUsize::new(0),
            torn: AtomicUsize::new(0),
        });
        let mut team = Team::new(&[0, 0, 0], job.clone()).unwrap();
        for _ in 0..3 {
            team.run(Step::Fill);
            team.run(Step::Multiply);
        }
        drop(team);
        assert_eq!(job.sum.load(Ordering::SeqCst), 3 * 100 * 6);
        assert_eq!(job.torn.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_processor_that_does_not_exist_is_named() {
        let job = Arc::new(Count {
            barrier: Barrier::new(1),
            sum: AtomicUsize::new(0),
            torn: AtomicUsize::new(0),
        });
        for cpu in [1023, 1_000_000] {
            let error = Team::new(&[0, cpu], job.clone()).err().unwrap();
            assert!(matches!(error, TeamError::Pin { cpu: found, .. } if found == cpu));
        }
    }
}
