//! A team of threads, one pinned to each processor, that does the same job at the same moment.
//!
//! The calling thread is member 0 and is pinned too. Members wait for the next job by spinning for
//! a short while and then sleeping in the kernel, so a job that follows the last one closely starts
//! within a microsecond, and an idle team costs nothing.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::{cell::UnsafeCell, io};

use rustix::thread::futex;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::clock::mono_ns;

/// How long a member spins for the next job before it sleeps, in nanoseconds. Longer than the gap
/// between two repetitions of a measurement, shorter than anything a person would notice.
const SPIN_NS: u64 = 2_000_000;

type Job = *const (dyn Fn(usize) + Sync);

struct Board {
    /// Number of jobs given out so far; odd and even alike, it only ever grows (and wraps).
    generation: AtomicU32,
    sleepers: AtomicU32,
    finished: AtomicUsize,
    stop: AtomicBool,
    panicked: AtomicBool,
    job: UnsafeCell<Option<Job>>,
}

// SAFETY: `job` is written by the leader only while no member works (all have counted themselves
// in `finished`), and read by members only after they saw the new generation, which is published
// with release after the write.
unsafe impl Sync for Board {}
// SAFETY: the job pointer is dereferenced only while `Team::run` holds the reference it came from.
unsafe impl Send for Board {}

/// Threads pinned to processors. Dropping it ends them and gives the caller its old affinity back.
pub(crate) struct Team {
    board: Arc<Board>,
    members: Vec<JoinHandle<()>>,
    affinity: CpuSet,
}

impl Team {
    /// Starts a thread for each processor but the first, which the calling thread takes.
    ///
    /// Fails if a thread cannot be started or not be pinned: an unpinned team would measure the
    /// scheduler.
    pub(crate) fn new(cpus: &[usize]) -> io::Result<Self> {
        let affinity = sched_getaffinity(None)?;
        let board = Arc::new(Board {
            generation: AtomicU32::new(0),
            sleepers: AtomicU32::new(0),
            finished: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            job: UnsafeCell::new(None),
        });
        let mut team = Self {
            board,
            members: Vec::new(),
            affinity,
        };
        for (index, cpu) in cpus.iter().copied().enumerate().skip(1) {
            let board = Arc::clone(&team.board);
            let (pinned, was_pinned) = std::sync::mpsc::channel();
            team.members.push(
                std::thread::Builder::new()
                    .name(format!("cpu{cpu}"))
                    .spawn(move || {
                        let result = pin(cpu);
                        let ok = result.is_ok();
                        // The leader waits for this message, so it cannot have gone.
                        let _sent = pinned.send(result);
                        if ok {
                            serve(&board, index);
                        }
                    })?,
            );
            was_pinned
                .recv()
                .map_err(|_| io::Error::other("a thread ended while it started"))??;
        }
        if let Some(first) = cpus.first() {
            pin(*first)?;
        }
        Ok(team)
    }

    /// Number of members, the caller included.
    pub(crate) fn size(&self) -> usize {
        self.members.len() + 1
    }

    /// Calls `job` with 0, 1, … on all members at once and returns when all are done.
    ///
    /// Panics if a member panicked.
    pub(crate) fn run(&mut self, job: &(dyn Fn(usize) + Sync)) {
        if self.members.is_empty() {
            job(0);
            return;
        }
        let board = &*self.board;
        board.finished.store(0, Ordering::Relaxed);
        // SAFETY: only the lifetime is changed; this function does not return before every member
        // has counted itself as finished and so is done with the reference.
        let job_pointer: Job = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), Job>(job) };
        // SAFETY: no member reads the cell now; see `Board`.
        unsafe { *board.job.get() = Some(job_pointer) };
        board.generation.fetch_add(1, Ordering::SeqCst);
        if board.sleepers.load(Ordering::SeqCst) > 0 {
            // Waking can only fail for a bad address, and this one is a live reference.
            let _woken = futex::wake(&board.generation, futex::Flags::PRIVATE, u32::MAX >> 1);
        }
        let own = catch_unwind(AssertUnwindSafe(|| job(0)));
        while board.finished.load(Ordering::Acquire) < self.members.len() {
            std::hint::spin_loop();
        }
        if let Err(cause) = own {
            resume_unwind(cause);
        }
        assert!(
            !board.panicked.load(Ordering::Acquire),
            "a thread of the team panicked"
        );
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.board.stop.store(true, Ordering::Release);
        self.board.generation.fetch_add(1, Ordering::SeqCst);
        let _woken = futex::wake(&self.board.generation, futex::Flags::PRIVATE, u32::MAX >> 1);
        for member in self.members.drain(..) {
            // A member catches the panics of its jobs, so joining cannot fail.
            let _joined = member.join();
        }
        // The mask was this thread's own a moment ago; should it be refused now, the thread stays
        // pinned, which costs nobody but itself.
        let _restored = sched_setaffinity(None, &self.affinity);
    }
}

fn pin(cpu: usize) -> rustix::io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set)
}

fn serve(board: &Board, index: usize) {
    let mut seen = 0;
    loop {
        seen = next_generation(board, seen);
        if board.stop.load(Ordering::Acquire) {
            return;
        }
        // SAFETY: the generation was published after the job was written; see `Board`.
        let job = unsafe { *board.job.get() };
        if let Some(job) = job {
            // SAFETY: the leader holds the reference until this member has counted itself.
            let job = unsafe { &*job };
            if catch_unwind(AssertUnwindSafe(|| job(index))).is_err() {
                board.panicked.store(true, Ordering::Release);
            }
        }
        board.finished.fetch_add(1, Ordering::Release);
    }
}

fn next_generation(board: &Board, seen: u32) -> u32 {
    let begin = mono_ns();
    loop {
        for _ in 0..256 {
            let now = board.generation.load(Ordering::Acquire);
            if now != seen {
                return now;
            }
            std::hint::spin_loop();
        }
        if mono_ns().saturating_sub(begin) > SPIN_NS {
            break;
        }
    }
    board.sleepers.fetch_add(1, Ordering::SeqCst);
    while board.generation.load(Ordering::SeqCst) == seen {
        // Any return is a reason to look again: woken, interrupted, or the value had changed.
        let _waited = futex::wait(&board.generation, futex::Flags::PRIVATE, seen, None);
    }
    board.sleepers.fetch_sub(1, Ordering::SeqCst);
    board.generation.load(Ordering::Acquire)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpus;

    #[test]
    fn every_member_works_once_on_its_own_processor_and_the_mask_comes_back() {
        let cpus = cpus::allowed().unwrap();
        let mut team = Team::new(&cpus).unwrap();
        assert_eq!(team.size(), cpus.len());
        for pause in [0, 0, 5] {
            std::thread::sleep(std::time::Duration::from_millis(pause));
            let counts: Vec<AtomicUsize> = cpus.iter().map(|_| AtomicUsize::new(0)).collect();
            team.run(&|index| {
                assert_eq!(rustix::thread::sched_getcpu(), cpus[index]);
                counts[index].fetch_add(1, Ordering::Relaxed);
            });
            assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
        }
        drop(team);
        assert_eq!(cpus::allowed().unwrap(), cpus);
    }

    #[test]
    fn a_panic_of_any_member_reaches_the_caller() {
        let cpus = cpus::allowed().unwrap();
        for guilty in 0..cpus.len() {
            let mut team = Team::new(&cpus).unwrap();
            let result = catch_unwind(AssertUnwindSafe(|| {
                team.run(&|index| assert!(index != guilty, "on purpose"));
            }));
            assert!(result.is_err());
        }
    }

    #[test]
    fn a_processor_that_does_not_exist_is_refused() {
        assert!(Team::new(&[CpuSet::MAX_CPU - 1]).is_err());
    }
}
