//! The shared memory in which the ranks of a node meet.
//!
//! Layout: one header page (magic, version, number of ranks, a barrier, words that rank 0
//! publishes), one slot of 256 bytes for each rank, then each rank's payload. Rank 0 gives the file
//! its size and writes the magic last; the others wait for it. The file's name space, permissions
//! and removal are no concern here: it is an anonymous file that the ranks inherit.
//!
//! A peer that dies must not hang the others. Every wait ends when its condition holds, when a peer
//! has marked the segment as broken, when a peer's process is gone, or when patience is at its end,
//! and the error names the rank that was waited for.

use std::ffi::c_void;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{fstat, ftruncate};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};
use rustix::process::{Pid, getpid, test_kill_process};
use rustix::thread::futex;

use crate::clock::{mono_ns, seconds_since};
use crate::region::HUGE_PAGE;
use crate::room::Room;

/// Stands at the start of a segment that is ready: the bytes "flagperf".
const MAGIC: u64 = u64::from_le_bytes(*b"flagperf");

/// Version of the layout. Ranks are the same program, so a difference means a wrong file.
const VERSION: u32 = 1;

/// Where the slots begin.
const HEADER_BYTES: usize = 4096;

/// How long a barrier spins before it sleeps, in nanoseconds.
const SPIN_NS: u64 = 200_000;

/// How often a sleeping rank looks whether its peers still live, in nanoseconds.
const LOOK_NS: i64 = 50_000_000;

/// Why the ranks cannot work together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerError {
    /// A rank did not come in time.
    #[error("rank {rank} was waited for and did not come within {seconds} s")]
    Late {
        /// The rank.
        rank: u32,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A rank said that it failed.
    #[error("rank {rank} failed")]
    Failed {
        /// The rank.
        rank: u32,
    },
    /// A rank's process ended without a word.
    #[error("the process of rank {rank} has ended")]
    Gone {
        /// The rank.
        rank: u32,
    },
    /// The file is not what was agreed.
    #[error("shared memory {problem}")]
    Layout {
        /// What is wrong.
        problem: String,
    },
    /// The machine is too full.
    #[error("shared memory needs {needed} bytes and only {free} are free")]
    NoRoom {
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// The operating system refused.
    #[error("shared memory cannot be {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: rustix::io::Errno,
    },
}

#[repr(C)]
struct Header {
    magic: AtomicU64,
    version: AtomicU32,
    world: AtomicU32,
    payload: AtomicU64,
    /// Rank + 1 of a rank that failed.
    broken: AtomicU32,
    generation: AtomicU32,
    arrived: AtomicU32,
    sleepers: AtomicU32,
    /// What rank 0 decided, for even and odd rounds of decisions.
    decisions: [AtomicU64; 2],
}

/// What one rank tells the others. A slot is two cache lines apart from the next one even when
/// the processor fetches lines in pairs.
#[repr(C, align(256))]
pub(crate) struct Slot {
    pid: AtomicU32,
    arrived: AtomicU32,
    /// Words with a meaning that the kernel gives them.
    pub(crate) words: [AtomicU64; 8],
}

/// The shared memory, seen from one rank.
pub(crate) struct Segment {
    mapping: *mut c_void,
    mapped: usize,
    rank: u32,
    world: u32,
    payload: usize,
    patience: Duration,
    decisions: u64,
    left: bool,
}

// SAFETY: the header and slots are atomics; payloads are given out as bare pointers only.
unsafe impl Send for Segment {}
// SAFETY: as for `Send`.
unsafe impl Sync for Segment {}

impl Segment {
    /// Joins the other ranks; returns when all are here.
    pub(crate) fn join(
        fd: &OwnedFd,
        rank: u32,
        world: u32,
        payload: usize,
        patience: Duration,
    ) -> Result<Self, PeerError> {
        let bytes = total_bytes(world, payload);
        if rank == 0 {
            prepare_file(fd, bytes)?;
        } else {
            await_size(fd, bytes, patience)?;
        }
        // SAFETY: a new mapping at an address that the kernel chooses; the file has that size.
        let mapping = unsafe {
            mmap(
                ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                fd,
                0,
            )
        }
        .map_err(|source| PeerError::System {
            action: "mapped",
            source,
        })?;
        // SAFETY: the range is the mapping. Most kernels refuse huge pages for such files, and
        // then small ones do.
        let _advised = unsafe { madvise(mapping, bytes, Advice::LinuxHugepage) };
        let segment = Self {
            mapping,
            mapped: bytes,
            rank,
            world,
            payload,
            patience,
            decisions: 0,
            left: false,
        };
        if rank == 0 {
            let header = segment.header();
            header.version.store(VERSION, Ordering::Relaxed);
            header.world.store(world, Ordering::Relaxed);
            header.payload.store(payload as u64, Ordering::Relaxed);
            header.magic.store(MAGIC, Ordering::Release);
        } else {
            let magic = &segment.header().magic;
            segment.wait_for(0, || magic.load(Ordering::Acquire) != 0)?;
            segment.check_layout()?;
        }
        let pid = getpid().as_raw_nonzero().get() as u32;
        segment.slot(rank).pid.store(pid, Ordering::Release);
        segment.barrier()?;
        Ok(segment)
    }

    /// Waits for all ranks.
    pub(crate) fn barrier(&self) -> Result<(), PeerError> {
        let header = self.header();
        let generation = header.generation.load(Ordering::Acquire);
        let next = generation.wrapping_add(1);
        self.slot(self.rank).arrived.store(next, Ordering::Release);
        if header.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.world {
            header.arrived.store(0, Ordering::Relaxed);
            header.generation.store(next, Ordering::SeqCst);
            if header.sleepers.load(Ordering::SeqCst) > 0 {
                self.wake_all();
            }
            return Ok(());
        }
        let begin = mono_ns();
        let passed = || header.generation.load(Ordering::SeqCst) != generation;
        loop {
            for _ in 0..64 {
                if passed() {
                    return Ok(());
                }
                std::hint::spin_loop();
            }
            if mono_ns() - begin > SPIN_NS {
                break;
            }
        }
        let look = futex::Timespec {
            tv_sec: 0,
            tv_nsec: LOOK_NS,
        };
        while !passed() {
            header.sleepers.fetch_add(1, Ordering::SeqCst);
            if !passed() {
                // Any return is a reason to look: woken, timed out, interrupted, value changed.
                let _waited = futex::wait(
                    &header.generation,
                    futex::Flags::empty(),
                    generation,
                    Some(&look),
                );
            }
            header.sleepers.fetch_sub(1, Ordering::SeqCst);
            let missing =
                || (0..self.world).find(|r| self.slot(*r).arrived.load(Ordering::Acquire) != next);
            if let Some(rank) = missing()
                && let Err(error) = self.check_peer(rank, begin)
                && !passed()
            {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Rank 0's decision, the same for all: each calls this at the same point, and the value that
    /// rank 0 passed is returned everywhere.
    pub(crate) fn agree(&mut self, decision: u64) -> Result<u64, PeerError> {
        // Two words in turn: rank 0 can be one decision ahead of a slow reader, never two, since
        // the barrier of the one between holds it back.
        let turn = (self.decisions % 2) as usize;
        self.decisions += 1;
        if self.rank == 0 {
            self.header().decisions[turn].store(decision, Ordering::Release);
        }
        self.barrier()?;
        Ok(self.header().decisions[turn].load(Ordering::Acquire))
    }

    /// Spins until `ready`, which depends on `rank`.
    pub(crate) fn wait_for(&self, rank: u32, ready: impl Fn() -> bool) -> Result<(), PeerError> {
        let begin = mono_ns();
        loop {
            for _ in 0..4096 {
                if ready() {
                    return Ok(());
                }
                std::hint::spin_loop();
            }
            // After so long, the peer may need this very processor.
            if mono_ns() - begin > 1_000_000 {
                std::thread::yield_now();
                self.check_peer(rank, begin)?;
            }
        }
    }

    /// What `rank` tells the others.
    pub(crate) fn slot(&self, rank: u32) -> &Slot {
        debug_assert!(rank < self.world);
        let offset = HEADER_BYTES + rank as usize * size_of::<Slot>();
        // SAFETY: `total_bytes` has room for a slot of each rank; slots are atomics, for which any
        // content is valid; the mapping is aligned to a page.
        unsafe { &*self.mapping.byte_add(offset).cast::<Slot>() }
    }

    /// First byte of a rank's payload, aligned to a cache line.
    pub(crate) fn payload(&self, rank: u32) -> *mut c_void {
        debug_assert!(rank < self.world);
        let offset = payload_offset(self.world) + rank as usize * payload_stride(self.payload);
        // SAFETY: `total_bytes` has room for the payload of each rank.
        unsafe { self.mapping.byte_add(offset) }
    }

    /// Number of ranks.
    pub(crate) fn world(&self) -> u32 {
        self.world
    }

    /// Leaves in good order; without this, dropping tells the others that this rank failed.
    pub(crate) fn leave(mut self) {
        self.left = true;
    }

    fn header(&self) -> &Header {
        // SAFETY: the mapping begins with a header of atomics, for which any content is valid.
        unsafe { &*self.mapping.cast::<Header>() }
    }

    fn check_layout(&self) -> Result<(), PeerError> {
        let header = self.header();
        let found = (
            header.magic.load(Ordering::Acquire),
            header.version.load(Ordering::Relaxed),
            header.world.load(Ordering::Relaxed),
            header.payload.load(Ordering::Relaxed),
        );
        let expected = (MAGIC, VERSION, self.world, self.payload as u64);
        if found == expected {
            Ok(())
        } else {
            Err(PeerError::Layout {
                problem: format!(
                    "was laid out differently by rank 0: version {} for {} ranks of {} bytes, \
                     expected version {} for {} ranks of {} bytes",
                    found.1, found.2, found.3, expected.1, expected.2, expected.3
                ),
            })
        }
    }

    fn check_peer(&self, rank: u32, begin_ns: u64) -> Result<(), PeerError> {
        let broken = self.header().broken.load(Ordering::Acquire);
        if broken != 0 {
            return Err(PeerError::Failed { rank: broken - 1 });
        }
        let pid = self.slot(rank).pid.load(Ordering::Acquire) as i32;
        // A process that may not be signalled lives; only "no such process" means it is gone.
        if let Some(pid) = Pid::from_raw(pid)
            && test_kill_process(pid) == Err(rustix::io::Errno::SRCH)
        {
            return Err(PeerError::Gone { rank });
        }
        if seconds_since(begin_ns) > self.patience.as_secs_f64() {
            return Err(PeerError::Late {
                rank,
                seconds: self.patience.as_secs(),
            });
        }
        Ok(())
    }

    fn wake_all(&self) {
        // Waking can only fail for a bad address, and this one is mapped.
        let _woken = futex::wake(
            &self.header().generation,
            futex::Flags::empty(),
            u32::MAX >> 1,
        );
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if !self.left {
            // The first to fail is the one to name; the others fail because of it.
            let _first = self.header().broken.compare_exchange(
                0,
                self.rank + 1,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            self.wake_all();
        }
        // SAFETY: the mapping is ours, and whoever borrowed a pointer borrowed the segment.
        let _unmapped = unsafe { munmap(self.mapping, self.mapped) };
    }
}

fn payload_offset(world: u32) -> usize {
    (HEADER_BYTES + world as usize * size_of::<Slot>()).next_multiple_of(HUGE_PAGE)
}

/// Distance between payloads. Five cache lines more than whole pages: at equal distances of a power
/// of two the same element of all ranks would fall into the same cache set.
fn payload_stride(payload: usize) -> usize {
    if payload == 0 {
        0
    } else {
        payload.next_multiple_of(4096) + 4096 + 5 * 64
    }
}

fn total_bytes(world: u32, payload: usize) -> usize {
    payload_offset(world) + world as usize * payload_stride(payload)
}

fn prepare_file(fd: &OwnedFd, bytes: usize) -> Result<(), PeerError> {
    let size = fstat(fd)
        .map_err(|source| PeerError::System {
            action: "examined",
            source,
        })?
        .st_size;
    if size != 0 {
        return Err(PeerError::Layout {
            problem: "is not empty: another case used it before".to_owned(),
        });
    }
    // A file in memory takes pages as they are touched, and when there are none left the toucher
    // is killed; so the room is checked here. Unknown room is not a reason to refuse.
    if let Ok(room) = Room::read(Path::new("/"))
        && (bytes as u64) > room.free()
    {
        return Err(PeerError::NoRoom {
            needed: bytes as u64,
            free: room.free(),
        });
    }
    ftruncate(fd, bytes as u64).map_err(|source| PeerError::System {
        action: "sized",
        source,
    })
}

fn await_size(fd: &OwnedFd, bytes: usize, patience: Duration) -> Result<(), PeerError> {
    let begin = mono_ns();
    loop {
        let size = fstat(fd)
            .map_err(|source| PeerError::System {
                action: "examined",
                source,
            })?
            .st_size as usize;
        if size == bytes {
            return Ok(());
        }
        if size != 0 {
            return Err(PeerError::Layout {
                problem: format!("has {size} bytes where {bytes} were expected"),
            });
        }
        if seconds_since(begin) > patience.as_secs_f64() {
            return Err(PeerError::Late {
                rank: 0,
                seconds: patience.as_secs(),
            });
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{MemfdFlags, memfd_create};

    fn file() -> OwnedFd {
        memfd_create("test", MemfdFlags::CLOEXEC).unwrap()
    }

    fn join(fd: &OwnedFd, rank: u32, world: u32, payload: usize) -> Result<Segment, PeerError> {
        let patience = Duration::from_secs(1);
        Segment::join(fd, rank, world, payload, patience)
    }

    #[test]
    fn ranks_meet_agree_and_see_each_other() {
        let fd = file();
        let fd = &fd;
        std::thread::scope(|scope| {
            for rank in (0..3u32).rev() {
                scope.spawn(move || {
                    let mut segment = join(fd, rank, 3, 100).unwrap();
                    for round in 0..200 {
                        let told = if rank == 0 { round } else { 999 };
                        assert_eq!(segment.agree(told).unwrap(), round);
                        let word = &segment.slot(rank).words[0];
                        word.store(round * 10 + u64::from(rank), Ordering::Relaxed);
                        segment.barrier().unwrap();
                        for peer in 0..3 {
                            let seen = segment.slot(peer).words[0].load(Ordering::Relaxed);
                            assert_eq!(seen, round * 10 + u64::from(peer));
                        }
                        segment.barrier().unwrap();
                    }
                    // SAFETY: each rank writes its own payload only.
                    unsafe {
                        ptr::write_bytes(segment.payload(rank).cast::<u8>(), rank as u8, 100);
                    }
                    segment.barrier().unwrap();
                    // SAFETY: all writes came before the barrier.
                    let last = unsafe { *segment.payload((rank + 1) % 3).cast::<u8>().add(99) };
                    assert_eq!(u32::from(last), (rank + 1) % 3);
                    segment.barrier().unwrap();
                    segment.leave();
                });
            }
        });
    }

    #[test]
    fn a_rank_that_never_comes_is_named() {
        let error = join(&file(), 1, 2, 0).err().unwrap().to_string();
        assert_eq!(error, "rank 0 was waited for and did not come within 1 s");
        let error = join(&file(), 0, 2, 0).err().unwrap().to_string();
        assert_eq!(error, "rank 1 was waited for and did not come within 1 s");
    }

    #[test]
    fn a_rank_that_fails_is_named_at_once() {
        let fd = file();
        let fd = &fd;
        std::thread::scope(|scope| {
            scope.spawn(move || drop(join(fd, 1, 2, 0).unwrap()));
            let segment = join(fd, 0, 2, 0).unwrap();
            let begin = mono_ns();
            let error = segment.barrier().unwrap_err().to_string();
            assert_eq!(error, "rank 1 failed");
            let error = segment.wait_for(1, || false).unwrap_err().to_string();
            assert_eq!(error, "rank 1 failed");
            assert!(seconds_since(begin) < 0.9);
        });
    }

    #[test]
    fn a_process_that_is_gone_is_named() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        let fd = file();
        let fd = &fd;
        std::thread::scope(|scope| {
            let peer = scope.spawn(move || join(fd, 1, 2, 0).unwrap());
            let segment = join(fd, 0, 2, 0).unwrap();
            let peer = peer.join().unwrap();
            segment.slot(1).pid.store(pid, Ordering::Release);
            let error = segment.barrier().unwrap_err().to_string();
            assert_eq!(error, "the process of rank 1 has ended");
            peer.leave();
        });
    }

    #[test]
    fn a_file_of_another_shape_is_refused() {
        let fd = file();
        ftruncate(&fd, 12345).unwrap();
        for rank in 0..2 {
            let error = join(&fd, rank, 2, 0).err().unwrap();
            assert!(matches!(error, PeerError::Layout { .. }), "{error}");
        }
        let huge = join(&file(), 0, 2, 1 << 45).err().unwrap();
        assert!(matches!(huge, PeerError::NoRoom { .. }), "{huge}");
    }
}
