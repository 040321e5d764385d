//! The measurement of one pair of ranks.
//!
//! The lower rank leads: it says what is done next and holds the clock, so the clocks of the two
//! machines need not agree. Beside the connections for data there is one for signals: orders, the
//! start of a transfer, its end, and round trips.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use flagperf_model::median;

use super::crew::{Crew, worse};
use super::flow::{Batch, Incoming, Lane, Outgoing, Task};
use super::mesh::Mesh;
use super::order::{MOST_MESSAGES, ORDER, Step, decode, encode};
use crate::clock::{mono_ns, seconds_since};
use crate::driver::CaseError;
use crate::pattern::STAMP_EVERY;

/// Fewest repetitions of a pair.
const LEAST: usize = 3;

/// Fewest and most round trips of a repetition.
const LEAST_TRIPS: u32 = 3;
const MOST_TRIPS: u32 = 1000;

/// Round trips that are ordered at once. On a link that loses packets some of them take a hundred
/// thousand times as long as the others; what is ordered has to be waited for.
const TRIPS_AT_ONCE: u32 = 16;

/// A batch of round trips ends early when it has taken so many times as long as a transfer.
const TRIPS_TRANSFERS: f64 = 2.0;

/// Longest time of one transfer, in seconds: long enough that its start and end do not count, short
/// enough for many repetitions.
const TRANSFER_S: f64 = 0.05;

/// A transfer takes at least so many round trips, unless that is longer than
/// [`LONGEST_TRANSFER_S`].
const ROUND_TRIPS: f64 = 20.0;

/// See [`ROUND_TRIPS`]; in seconds.
const LONGEST_TRANSFER_S: f64 = 1.0;

/// Transfers that fill a pair's time: there, back, both, round trips, six times.
const TRANSFERS: f64 = 24.0;

/// Shortest message that a slow link gets, in bytes.
const SHORTEST: usize = 64 << 10;

/// Signals of one byte.
const READY: u8 = 1;
const GO: u8 = 2;
const DONE: u8 = 3;

/// What the leader found: rates in GB/s, latencies in microseconds, one for each repetition.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Figures {
    /// From the lower rank to the higher.
    pub(super) there: Vec<f64>,
    /// From the higher rank to the lower.
    pub(super) back: Vec<f64>,
    /// Both ways at once, the bytes of both directions.
    pub(super) both: Vec<f64>,
    /// Half of the median round trip.
    pub(super) latency: Vec<f64>,
    /// Messages that were compared.
    pub(super) messages: u64,
}

/// How a pair measures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Which piece of work it is; the same on both sides, another for each pair.
    pub(super) tag: u32,
    /// Connections for data.
    pub(super) streams: u16,
    /// Bytes of a message.
    pub(super) bytes: usize,
    /// Whether a slow link may have shorter messages.
    pub(super) shorten: bool,
    /// How long to measure.
    pub(super) time: Duration,
}

/// One side of the pair.
pub(super) struct Pair<'a> {
    mesh: &'a Mesh,
    peer: u32,
    signals: TcpStream,
    senders: Crew<Batch>,
    receivers: Crew<Task>,
    plan: Plan,
    /// Number of the next message in either direction.
    next: u64,
}

impl<'a> Pair<'a> {
    /// Connects this rank with `peer`, which calls this at the same time.
    pub(super) fn connect(mesh: &'a mut Mesh, peer: u32, plan: Plan) -> Result<Self, CaseError> {
        let count = plan.streams + 1;
        let mut streams = if mesh.rank() > peer {
            let dialled = mesh.dial(peer, plan.tag, count)?;
            mesh.confirm(dialled)?
        } else {
            mesh.accept(peer, plan.tag, count)?
        };
        let mesh: &'a Mesh = mesh;
        let links = mesh.watch(&streams)?;
        let signals = streams.remove(0);
        let mut senders = Crew::new(links.clone());
        let mut receivers = Crew::new(links);
        let me = mesh.rank();
        for (index, stream) in (0u16..).zip(streams) {
            let lane = |sender: u32| Lane {
                sender,
                peer,
                name: mesh.names().who(sender),
                index,
                streams: plan.streams,
            };
            let reading = stream
                .try_clone()
                .map_err(|error| mesh.broken(peer, &error))?;
            let mut outgoing = Outgoing::new(lane(me), stream);
            let mut incoming = Incoming::new(lane(peer), reading);
            senders.add(format!("send{index}"), move |batch| outgoing.send(batch))?;
            receivers.add(format!("receive{index}"), move |task| incoming.work(task))?;
        }
        Ok(Self {
            mesh,
            peer,
            signals,
            senders,
            receivers,
            plan,
            next: 1,
        })
    }

    /// The leader's part. `watch` gets the figures so far and the seconds that remain.
    pub(super) fn lead(
        &mut self,
        mut watch: impl FnMut(&Figures, f64) -> Result<(), CaseError>,
    ) -> Result<Figures, CaseError> {
        let round_trip_s = (self.trips(LEAST_TRIPS, 0.0)? * 2e-6).max(1e-9);
        let transfer_s = transfer_s(self.plan.time, round_trip_s);
        let mut batch = self.calibrate(transfer_s)?;
        let trips = ((transfer_s / round_trip_s) as u32).clamp(LEAST_TRIPS, MOST_TRIPS);
        let mut figures = Figures::default();
        let (begin, time) = (mono_ns(), self.plan.time.as_secs_f64());
        let bytes = f64::from(batch.count) * batch.bytes as f64;
        loop {
            figures
                .there
                .push(bytes / self.transfer(Step::There, &mut batch)? / 1e9);
            figures
                .back
                .push(bytes / self.transfer(Step::Back, &mut batch)? / 1e9);
            figures
                .both
                .push(2.0 * bytes / self.transfer(Step::Both, &mut batch)? / 1e9);
            let latency = self.trips(trips, TRIPS_TRANSFERS * transfer_s)?;
            figures.latency.push(latency);
            let remaining = time - seconds_since(begin);
            watch(&figures, remaining)?;
            if remaining <= 0.0 && figures.latency.len() >= LEAST {
                break;
            }
        }
        self.order(Step::Check, batch)?;
        self.check()?;
        self.expect(DONE)?;
        self.order(Step::End, batch)?;
        figures.messages = self.next - 1;
        Ok(figures)
    }

    /// The other rank's part.
    pub(super) fn follow(&mut self) -> Result<(), CaseError> {
        loop {
            let (step, batch) = self.take_order()?;
            match step {
                Step::End => return Ok(()),
                Step::Check => {
                    self.check()?;
                    self.signal(DONE)?;
                }
                Step::Trips(count) => {
                    for _ in 0..count {
                        self.expect(GO)?;
                        self.signal(GO)?;
                    }
                }
                Step::There | Step::Back | Step::Both => {
                    self.signal(READY)?;
                    self.expect(GO)?;
                    // What the leader sends, this side receives.
                    if step.leader_sends() {
                        self.receivers.start(Task::Receive(batch));
                    }
                    if step.leader_receives() {
                        self.senders.start(batch);
                    }
                    self.finish(step.leader_receives(), step.leader_sends())?;
                    if step.leader_sends() {
                        self.signal(DONE)?;
                    }
                }
            }
        }
    }

    /// Sends more and more both ways until that takes as long as a transfer shall. This also warms
    /// up: connections begin slowly, and buffers are touched for the first time. What takes that long
    /// is tried once more, so that one lost packet or busy moment does not make all transfers short.
    fn calibrate(&mut self, target: f64) -> Result<Batch, CaseError> {
        let shortest = if self.plan.shorten {
            SHORTEST.min(self.plan.bytes)
        } else {
            self.plan.bytes
        };
        let mut batch = Batch {
            first: 0,
            count: 1,
            bytes: shortest,
        };
        let mut seconds = f64::INFINITY;
        loop {
            let again = seconds.is_finite();
            seconds = self.transfer(Step::Both, &mut batch)?.min(seconds);
            let factor = (target / seconds.max(1e-9)).clamp(0.1, 2.0);
            if factor < 1.25 && !again {
                continue;
            }
            // What is left to grow is not worth another trial.
            if factor < 1.25 || batch.count >= MOST_MESSAGES / 2 {
                return Ok(batch);
            }
            let volume = batch.count as usize * batch.bytes;
            let volume = (volume as f64 * factor) as usize;
            batch.bytes = volume.clamp(shortest, self.plan.bytes) / STAMP_EVERY * STAMP_EVERY;
            let count = volume.div_ceil(batch.bytes).max(1);
            if count == batch.count as usize && count > 1 {
                return Ok(batch);
            }
            batch.count = count as u32;
            seconds = f64::INFINITY;
        }
    }

    /// One transfer; its time in seconds, from the word to start until the leader knows that all
    /// has arrived.
    fn transfer(&mut self, step: Step, batch: &mut Batch) -> Result<f64, CaseError> {
        batch.first = self.next;
        self.next += u64::from(batch.count);
        self.order(step, *batch)?;
        self.expect(READY)?;
        if step.leader_receives() {
            self.receivers.start(Task::Receive(*batch));
        }
        let begin = mono_ns();
        self.signal(GO)?;
        if step.leader_sends() {
            self.senders.start(*batch);
        }
        self.finish(step.leader_sends(), step.leader_receives())?;
        if step.leader_sends() {
            self.expect(DONE)?;
        }
        Ok(seconds_since(begin))
    }

    /// Half of the median round trip, in microseconds, of so many; fewer where they take longer than
    /// `longest_s` seconds.
    fn trips(&mut self, count: u32, longest_s: f64) -> Result<f64, CaseError> {
        const NOTHING: Batch = Batch {
            first: 0,
            count: 0,
            bytes: 0,
        };
        let mut times = Vec::with_capacity(count as usize);
        let all = mono_ns();
        while times.len() < count as usize && (times.is_empty() || seconds_since(all) < longest_s) {
            let ordered = TRIPS_AT_ONCE.min(count - times.len() as u32);
            self.order(Step::Trips(ordered), NOTHING)?;
            for _ in 0..ordered {
                let begin = mono_ns();
                self.signal(GO)?;
                self.expect(GO)?;
                times.push((mono_ns() - begin) as f64 / 1e3);
            }
        }
        Ok(median(&times).unwrap_or_default() / 2.0)
    }

    fn finish(&mut self, sending: bool, receiving: bool) -> Result<(), CaseError> {
        let received = if receiving {
            self.receivers.finish()
        } else {
            Ok(())
        };
        let sent = if sending {
            self.senders.finish()
        } else {
            Ok(())
        };
        let result = match (received, sent) {
            (Err(one), Err(other)) => Err(worse(one, other)),
            (one, other) => one.and(other),
        };
        result.map_err(|error| error.explain(self.mesh))
    }

    fn check(&mut self) -> Result<(), CaseError> {
        self.receivers.start(Task::CheckLast);
        self.finish(false, true)
    }

    fn order(&mut self, step: Step, batch: Batch) -> Result<(), CaseError> {
        self.write(&encode(step, batch))
    }

    fn take_order(&mut self) -> Result<(Step, Batch), CaseError> {
        let bytes = self.read::<ORDER>()?;
        let order = decode(&bytes, self.plan.bytes).filter(|(_, batch)| {
            // A number that came before would let an old message pass for a new one.
            batch.count == 0 || batch.first >= self.next
        });
        match order {
            Some((step, batch)) => {
                self.next = self
                    .next
                    .max(batch.first.saturating_add(batch.count.into()));
                Ok((step, batch))
            }
            None => Err(self.unexpected("an order that makes no sense")),
        }
    }

    fn signal(&mut self, signal: u8) -> Result<(), CaseError> {
        self.write(&[signal])
    }

    fn expect(&mut self, signal: u8) -> Result<(), CaseError> {
        if self.read::<1>()? == [signal] {
            Ok(())
        } else {
            Err(self.unexpected("another signal than the one that was due"))
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CaseError> {
        let written = self.signals.write_all(bytes);
        written.map_err(|error| self.mesh.broken(self.peer, &error).into())
    }

    fn read<const N: usize>(&mut self) -> Result<[u8; N], CaseError> {
        let mut bytes = [0; N];
        let read = self.signals.read_exact(&mut bytes);
        read.map_err(|error| self.mesh.broken(self.peer, &error))?;
        Ok(bytes)
    }

    fn unexpected(&self, problem: &str) -> CaseError {
        self.mesh.protocol(self.peer, problem).into()
    }
}

/// How long one transfer shall take, in seconds. Its start and its end cost a round trip, which
/// must not weigh.
fn transfer_s(time: Duration, round_trip_s: f64) -> f64 {
    let usual = (time.as_secs_f64() / TRANSFERS).min(TRANSFER_S);
    usual.max((round_trip_s * ROUND_TRIPS).min(LONGEST_TRANSFER_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_longer_where_messages_travel_far() {
        let of = |seconds: u64, trip: f64| transfer_s(Duration::from_secs(seconds), trip);
        assert_eq!(of(5, 1e-4), 0.05);
        assert_eq!(of(5, 0.02), 0.4);
        assert_eq!(of(5, 0.3), 1.0);
        assert!((transfer_s(Duration::from_millis(200), 1e-4) - 0.2 / 24.0).abs() < 1e-12);
    }
}
