//! Sum over one rank on each of several machines, in place, around a ring of TCP connections.
//!
//! **Counted.** As nccl-tests count, with `bytes` the size of the vector that each rank has:
//! algorithm bandwidth `interconnect-MPI_interserver-algbw` = bytes / t, and bus bandwidth
//! `interconnect-MPI_interserver-bandwidth` = algorithm bandwidth · 2 (n − 1) / n for n ranks. In a ring
//! that is the rate at which each rank sends, and at the same time receives.
//!
//! **Time.** Clocks of machines differ, so each rank measures by itself from the word to start, which
//! follows when all are ready, until it has all sums; t is the longest.
//!
//! **How it works.** See [`ring`](super::ring): reduce-scatter, then all-gather, in chunks, over
//! several connections to the next rank (`streams`), with one thread for each direction of each.
//! Ranks sit in the ring in the order of the nodes.
//!
//! **Size.** 64 MiB, the default of the case within a machine. On links on which that takes long it is
//! the largest power of two, from 64 KiB, with which an all-reduce takes at most a 20th of the
//! duration, or 20 round trips for each step of the ring's two rounds there and back if that is longer (but no
//! more than a second). Rank 0 tries sizes from the smallest up and decides for all; the size is noted as `bytes per rank`.
//! A given `bytes` is kept whatever it takes.
//!
//! **Warm-up.** At least three repetitions, until two in succession differ by less than 2 %, or one
//! second has passed.
//!
//! **Repetition.** For the duration, at least three; rank 0 decides after each whether another
//! follows and reports the median.
//!
//! **Check.** As within a machine: the vectors are filled anew before each repetition with whole
//! numbers that depend on rank, place and repetition. One element in 61 is compared after each
//! repetition, every element after the last.
//!
//! **Biases that remain.** Rank 0 gives the word to start to one rank after the other; those that have
//! it early wait for the late ones, which counts as time (a few microseconds for each rank). Processors
//! limit fast networks. Threads are not pinned. The vector is filled by the threads that receive it.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use flagperf_model::Phase;

use super::crew::{Crew, WorkError, worse};
use super::links::unacknowledged;
use super::mesh::Mesh;
use super::ring::{Job, Receiver, Sender};
use super::slice::{Seat, Slice, Vector};
use super::{generous, streams, with_mesh};
use crate::allreduce::{Ranks, VECTOR, measure};
use crate::clock::{mono_ns, seconds_since};
use crate::driver::{CaseError, Context};

/// Shortest vector that slow links get, in bytes.
const SHORTEST: u64 = 64 << 10;

/// All-reduces that fill the duration on a slow link.
const REDUCES: f64 = 20.0;

/// An all-reduce takes at least so many times as long as its steps take by themselves, unless that
/// is longer than [`LONGEST_S`].
const STEPS_TIMES: f64 = 20.0;

/// See [`STEPS_TIMES`]; in seconds.
const LONGEST_S: f64 = 1.0;

/// From one trial to the next a vector grows at most by this factor: what a small one takes says
/// little of a large one.
const GROWTH: u64 = 4;

/// Barriers of which the fastest tells the time of a round trip.
const BARRIERS: u32 = 3;

/// The piece of work that the connections belong to.
const TAG: u32 = 0;

/// Runs the case.
pub(crate) fn run(context: &mut Context<'_>) -> Result<(), CaseError> {
    let given = context.params.integer("bytes", 4..=1 << 36)?;
    let given = given.map(|bytes| bytes.next_multiple_of(4));
    let streams = streams(context)?;
    let free = context.free_memory()?;
    let most = given.unwrap_or(VECTOR);
    if most > free {
        return Err(CaseError::Wrong(format!(
            "a vector of {most} bytes is more than the free memory, {free}"
        )));
    }
    with_mesh(context, |context, mesh| {
        context.report.note("nodes", mesh.world().to_string())?;
        context.report.note("connections", streams.to_string())?;
        mesh.enter("the connecting of the ring", Duration::ZERO);
        let ways = Ways::open(mesh, streams)?;
        context.report.phase(Phase::Warmup)?;
        mesh.enter("the choice of a size", generous(Duration::ZERO));
        let bytes = match given {
            Some(bytes) => bytes,
            None => choose(mesh, &ways, context.duration)?,
        };
        context.report.note("bytes per rank", bytes.to_string())?;
        let mut ring = Ring::new(mesh, &ways, bytes)?;
        let device = format!("{} nodes", ring.world());
        measure(context, &mut ring, "interserver", &device, bytes)
    })
}

/// The size of a vector for a case of this duration, in bytes, the same in all ranks.
fn choose(mesh: &mut Mesh, ways: &Ways, duration: Duration) -> Result<u64, CaseError> {
    let steps_s = round_trip_s(mesh)? * f64::from(mesh.world() - 1);
    let target_s = target_s(duration, steps_s);
    let (mut bytes, mut repetition) = (SHORTEST, 0);
    loop {
        let mut ring = Ring::new(mesh, ways, bytes)?;
        // Twice, so that one lost packet or busy moment does not make the vector short.
        let mut seconds = f64::INFINITY;
        for _ in 0..2 {
            repetition += 1;
            seconds = ring.repeat(repetition)?.min(seconds);
        }
        let next = ring.agree(next_size(bytes, seconds, steps_s, target_s))?;
        drop(ring);
        if !(SHORTEST..=VECTOR).contains(&next) {
            let problem = format!("a vector of {next} bytes");
            return Err(mesh.protocol(0, &problem).into());
        }
        if next <= bytes {
            return Ok(next);
        }
        bytes = next;
    }
}

/// How long rank 0 waits for an answer of all others, in seconds.
fn round_trip_s(mesh: &mut Mesh) -> Result<f64, CaseError> {
    // What the others have to say to the first may have come before it is asked for.
    mesh.barrier()?;
    let mut fastest = f64::INFINITY;
    for _ in 0..BARRIERS {
        let begin = mono_ns();
        mesh.barrier()?;
        fastest = fastest.min(seconds_since(begin));
    }
    Ok(fastest)
}

/// How long an all-reduce may take, in seconds, if its steps take `steps_s` without data.
fn target_s(duration: Duration, steps_s: f64) -> f64 {
    let usual = duration.as_secs_f64() / REDUCES;
    usual.max((steps_s * STEPS_TIMES).min(LONGEST_S))
}

/// The size to be tried after one that took `seconds`, of which its steps take `steps_s` whatever
/// the size. One that is no larger is the last word.
fn next_size(bytes: u64, seconds: f64, steps_s: f64, target_s: f64) -> u64 {
    if seconds > target_s {
        return (bytes / 2).max(SHORTEST);
    }
    let data_s = (seconds - steps_s).max(0.0);
    let fits = |next: u64| steps_s + data_s * next as f64 / bytes as f64 <= target_s;
    let mut next = bytes;
    while next < VECTOR && next < bytes * GROWTH && fits(next * 2) {
        next *= 2;
    }
    next
}

/// The connections to both neighbours.
struct Ways {
    seat: Seat,
    outgoing: Vec<TcpStream>,
    incoming: Vec<TcpStream>,
}

impl Ways {
    fn open(mesh: &mut Mesh, streams: u16) -> Result<Self, CaseError> {
        let seat = Seat {
            rank: mesh.rank(),
            world: mesh.world(),
        };
        // Everybody dials before anybody accepts, and the system takes the calls meanwhile.
        let dialled = mesh.dial(seat.next(), TAG, streams)?;
        let incoming = mesh.accept(seat.previous(), TAG, streams)?;
        let outgoing = mesh.confirm(dialled)?;
        Ok(Self {
            seat,
            outgoing,
            incoming,
        })
    }
}

/// This rank's place in the ring, with a vector and the threads that work on it.
struct Ring<'a> {
    mesh: &'a mut Mesh,
    ways: &'a Ways,
    senders: Crew<()>,
    receivers: Crew<Job>,
}

impl<'a> Ring<'a> {
    fn new(mesh: &'a mut Mesh, ways: &'a Ways, bytes: u64) -> Result<Self, CaseError> {
        let seat = ways.seat;
        let links = mesh.watch(ways.incoming.iter().chain(&ways.outgoing))?;
        let mut senders = Crew::new(Arc::clone(&links));
        let mut receivers = Crew::new(links);
        let vector = Vector::new(bytes as usize / size_of::<f32>())?;
        let name = mesh.names().who(seat.rank);
        let copy = |peer: u32, stream: &TcpStream| {
            let copied = stream.try_clone();
            copied.map_err(|error| mesh.broken(peer, &error))
        };
        for (index, (out, into)) in ways.outgoing.iter().zip(&ways.incoming).enumerate() {
            let slice = Slice::new(&vector, seat, index, ways.outgoing.len());
            let mut sender = Sender::new(Arc::clone(&slice), copy(seat.next(), out)?);
            let into = copy(seat.previous(), into)?;
            let mut receiver = Receiver::new(slice, into, name.clone());
            senders.add(format!("send{index}"), move |()| sender.send())?;
            receivers.add(format!("receive{index}"), move |job| receiver.work(job))?;
        }
        Ok(Self {
            mesh,
            ways,
            senders,
            receivers,
        })
    }

    /// Why an all-reduce failed. When the ring is cut anywhere, all its ranks wait in vain; the one
    /// before the cut can tell where.
    fn explain(&self, error: WorkError) -> CaseError {
        let cut = || self.ways.outgoing.iter().any(unacknowledged);
        match error {
            WorkError::Io(..) if cut() => self.mesh.unheard(self.ways.seat.next()).into(),
            error => error.explain(self.mesh),
        }
    }

    /// Has each of the receiving threads, which own the vector, do something by itself.
    fn each(&mut self, job: Job) -> Result<(), CaseError> {
        self.receivers.start(job);
        let done = self.receivers.finish();
        done.map_err(|error| error.explain(self.mesh))
    }
}

impl Ranks for Ring<'_> {
    fn rank(&self) -> u32 {
        self.mesh.rank()
    }

    fn world(&self) -> u32 {
        self.mesh.world()
    }

    fn enter(&mut self, phase: Phase) {
        let stage = match phase {
            Phase::Warmup => "the warm-up of the all-reduce",
            Phase::Verify => "the check of the sums",
            _ => "the all-reduce",
        };
        self.mesh.enter(stage, generous(Duration::ZERO));
    }

    fn agree(&mut self, word: u64) -> Result<u64, CaseError> {
        Ok(self.mesh.agree(word)?)
    }

    fn barrier(&mut self) -> Result<(), CaseError> {
        Ok(self.mesh.barrier()?)
    }

    /// Elsewhere than at rank 0 this rank's own time.
    fn repeat(&mut self, repetition: u64) -> Result<f64, CaseError> {
        self.each(Job::Fill(repetition))?;
        self.mesh.barrier()?;
        let begin = mono_ns();
        self.senders.start(());
        self.receivers.start(Job::Reduce);
        let received = self.receivers.finish();
        let sent = self.senders.finish();
        let own = seconds_since(begin);
        let result = match (received, sent) {
            (Err(one), Err(other)) => Err(worse(one, other)),
            (one, other) => one.and(other),
        };
        result.map_err(|error| self.explain(error))?;
        self.each(Job::Check {
            repetition,
            all: false,
        })?;
        match self.mesh.gather(own.to_le_bytes().to_vec())? {
            None => Ok(own),
            Some(times) => slowest(&times).map_err(|rank| {
                self.mesh
                    .protocol(rank, "a time that makes no sense")
                    .into()
            }),
        }
    }

    fn check(&mut self, repetition: u64) -> Result<(), CaseError> {
        self.each(Job::Check {
            repetition,
            all: true,
        })
    }
}

/// The longest of the times, in seconds; the rank that sent none if there is one.
fn slowest(times: &[Vec<u8>]) -> Result<f64, u32> {
    let mut slowest = 0.0f64;
    for (rank, time) in (0u32..).zip(times) {
        let bytes = time.as_slice().try_into();
        let seconds = bytes.map(f64::from_le_bytes).map_err(|_| rank)?;
        if !(seconds.is_finite() && seconds > 0.0) {
            return Err(rank);
        }
        slowest = slowest.max(seconds);
    }
    Ok(slowest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_rank_counts() {
        let times = |times: &[f64]| -> Vec<Vec<u8>> {
            times.iter().map(|t| t.to_le_bytes().to_vec()).collect()
        };
        assert_eq!(slowest(&times(&[0.1, 0.4, 0.2])), Ok(0.4));
        assert_eq!(slowest(&times(&[0.1, f64::NAN])), Err(1));
        assert_eq!(slowest(&[vec![0; 3]]), Err(0));
    }

    /// The size that is settled on where the time is proportional to the size, and the time of all
    /// trials.
    fn settled(bytes_per_s: f64, steps_s: f64, duration_s: u64) -> (u64, f64) {
        let target_s = target_s(Duration::from_secs(duration_s), steps_s);
        let (mut bytes, mut total) = (SHORTEST, 0.0);
        loop {
            let seconds = steps_s + bytes as f64 / bytes_per_s;
            total += 2.0 * seconds;
            let next = next_size(bytes, seconds, steps_s, target_s);
            if next <= bytes {
                return (next, total);
            }
            bytes = next;
        }
    }

    #[test]
    fn slow_links_get_a_vector_that_fits_their_rate() {
        // 10 Gbit/s between two nodes, 200 and 10 Mbit/s between three, a modem, a satellite.
        assert_eq!(settled(1.25e9, 1e-4, 5).0, VECTOR);
        assert_eq!(settled(18.75e6, 1e-4, 5).0, 4 << 20);
        assert_eq!(settled(0.9375e6, 1e-4, 5).0, 128 << 10);
        assert_eq!(settled(7000.0, 1e-4, 5).0, SHORTEST);
        assert_eq!(settled(12.5e6, 0.5, 5).0, 4 << 20);
        for rate in [1e6, 1e7, 1e8, 1e9] {
            assert!(settled(rate, 1e-4, 5).1 < 1.0, "{rate}");
        }
    }
}
