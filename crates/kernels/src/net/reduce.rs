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

use std::sync::Arc;
use std::time::Duration;

use flagperf_model::{Better, Phase, Unit, Verification, median};

use super::crew::{Crew, worse};
use super::mesh::Mesh;
use super::ring::{Job, Receiver, Sender};
use super::slice::{Seat, Slice, Vector};
use super::{generous, streams, with_mesh};
use crate::allreduce::{LEAST, WARMUP_S, bus_factor, steady};
use crate::clock::{mono_ns, seconds_since};
use crate::driver::{CaseError, Context};
use crate::reporter::Metric;

/// Default vector, in bytes.
const VECTOR: u64 = 64 << 20;

/// The piece of work that the connections belong to.
const TAG: u32 = 0;

/// Rank 0's decisions.
const STOP: u64 = 0;
const AGAIN: u64 = 1;

/// Runs the case.
pub(crate) fn run(context: &mut Context<'_>) -> Result<(), CaseError> {
    let bytes = context
        .params
        .integer("bytes", 4..=1 << 36)?
        .unwrap_or(VECTOR)
        .next_multiple_of(4);
    let streams = streams(context)?;
    let free = context.free_memory()?;
    if bytes > free {
        return Err(CaseError::Wrong(format!(
            "a vector of {bytes} bytes is more than the free memory, {free}"
        )));
    }
    with_mesh(context, |context, mesh| {
        context.report.note("nodes", mesh.world().to_string())?;
        context.report.note("bytes per rank", bytes.to_string())?;
        context.report.note("connections", streams.to_string())?;
        mesh.enter("the connecting of the ring", Duration::ZERO);
        let mut ring = Ring::connect(mesh, bytes as usize / 4, streams)?;
        measure(context, &mut ring, bytes)
    })
}

fn measure(context: &mut Context<'_>, ring: &mut Ring<'_>, bytes: u64) -> Result<(), CaseError> {
    context.report.phase(Phase::Warmup)?;
    let begin = mono_ns();
    let mut times: Vec<f64> = Vec::new();
    ring.mesh
        .enter("the warm-up of the all-reduce", generous(Duration::ZERO));
    while let Some(seconds) = {
        let again = times.len() < LEAST || !(steady(&times) || seconds_since(begin) > WARMUP_S);
        ring.repeat(again)?
    } {
        times.push(seconds);
    }

    context.report.phase(Phase::Measure)?;
    let factor = bus_factor(ring.mesh.world());
    let metrics = metrics();
    let mut algorithm: Vec<f64> = Vec::new();
    ring.mesh.enter("the all-reduce", generous(Duration::ZERO));
    let begin = mono_ns();
    loop {
        let remaining = context.duration.as_secs_f64() - seconds_since(begin);
        if ring.mesh.rank() == 0
            && context.report.live_is_due()
            && let Some(value) = median(&algorithm)
        {
            context
                .report
                .live(&metrics[0], value * factor, remaining)?;
        }
        match ring.repeat(remaining > 0.0 || algorithm.len() < LEAST)? {
            Some(seconds) => algorithm.push(bytes as f64 / seconds / 1e9),
            None => break,
        }
    }

    context.report.phase(Phase::Verify)?;
    ring.mesh
        .enter("the check of the sums", generous(Duration::ZERO));
    ring.check(true)?;
    // Rank 0 reports only after every rank has checked its own.
    ring.mesh.barrier()?;
    if ring.mesh.rank() == 0 {
        let text = format!(
            "one element in 61 of {} sums, every element of the last, exactly",
            ring.repetition
        );
        let device = format!("{} nodes", ring.mesh.world());
        let bus: Vec<f64> = algorithm.iter().map(|rate| rate * factor).collect();
        for (metric, values) in metrics.iter().zip([&bus, &algorithm]) {
            let checked = Verification::Checked(text.clone());
            let value = context
                .report
                .measurement(metric, &device, values, checked)?;
            if metric.name == metrics[0].name {
                context.report.classic(metric, value)?;
            }
        }
    }
    Ok(())
}

fn metrics() -> [Metric; 2] {
    let metric = |suffix: &str, definition: &str| Metric {
        name: format!("interconnect-MPI_interserver-{suffix}"),
        unit: Unit::GB_PER_S,
        better: Better::Higher,
        definition: definition.to_owned(),
    };
    [
        metric(
            "bandwidth",
            "bus bandwidth of an all-reduce between nodes: bytes per rank / time of the slowest \
             rank, times 2 (n - 1) / n for n ranks",
        ),
        metric(
            "algbw",
            "algorithm bandwidth of an all-reduce between nodes: bytes per rank / time of the \
             slowest rank",
        ),
    ]
}

/// This rank's place in the ring, with its connections.
struct Ring<'a> {
    mesh: &'a mut Mesh,
    senders: Crew<()>,
    receivers: Crew<Job>,
    repetition: u64,
}

impl<'a> Ring<'a> {
    fn connect(mesh: &'a mut Mesh, elements: usize, streams: u16) -> Result<Self, CaseError> {
        let seat = Seat {
            rank: mesh.rank(),
            world: mesh.world(),
        };
        // Everybody dials before anybody accepts, and the system takes the calls meanwhile.
        let dialled = mesh.dial(seat.next(), TAG, streams)?;
        let incoming = mesh.accept(seat.previous(), TAG, streams)?;
        let outgoing = mesh.confirm(dialled)?;
        let links = mesh.watch(incoming.iter().chain(&outgoing))?;
        let mut senders = Crew::new(Arc::clone(&links));
        let mut receivers = Crew::new(links);
        let vector = Vector::new(elements)?;
        let name = mesh.names().who(seat.rank);
        for (index, (out, into)) in outgoing.into_iter().zip(incoming).enumerate() {
            let slice = Slice::new(&vector, seat, index, usize::from(streams));
            let mut sender = Sender::new(Arc::clone(&slice), out);
            let mut receiver = Receiver::new(slice, into, name.clone());
            senders.add(format!("send{index}"), move |()| sender.send())?;
            receivers.add(format!("receive{index}"), move |job| receiver.work(job))?;
        }
        Ok(Self {
            mesh,
            senders,
            receivers,
            repetition: 0,
        })
    }

    /// One all-reduce if rank 0 wants one. At rank 0, the time of the slowest rank in seconds; this
    /// rank's own elsewhere.
    fn repeat(&mut self, again: bool) -> Result<Option<f64>, CaseError> {
        if self.mesh.agree(if again { AGAIN } else { STOP })? == STOP {
            return Ok(None);
        }
        self.repetition += 1;
        self.receivers.start(Job::Fill(self.repetition));
        self.receivers
            .finish()
            .map_err(|error| error.explain(self.mesh))?;
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
        result.map_err(|error| error.explain(self.mesh))?;
        self.check(false)?;
        let times = self.mesh.gather(own.to_le_bytes().to_vec())?;
        match times {
            None => Ok(Some(own)),
            Some(times) => slowest(&times).map(Some).map_err(|rank| {
                self.mesh
                    .protocol(rank, "a time that makes no sense")
                    .into()
            }),
        }
    }

    /// Compares this rank's result with the sums of what all ranks put in.
    fn check(&mut self, all: bool) -> Result<(), CaseError> {
        self.receivers.start(Job::Check {
            repetition: self.repetition,
            all,
        });
        let checked = self.receivers.finish();
        checked.map_err(|error| error.explain(self.mesh))
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
}
