//! The case around the ring: warm-up, rounds, decisions of rank 0, figures.

use std::sync::atomic::Ordering;

use flagperf_model::{Better, Phase, Unit, Verification, median};

use super::ring::{End, LARGEST_CHUNK, Method, RING_BYTES};
use crate::clock::{mono_ns, seconds_since};
use crate::driver::{CaseError, Context};
use crate::reporter::Metric;
use crate::stream::Shape;
use crate::team::Team;

/// Default message, in bytes.
const MESSAGE: u64 = 64 << 20;

/// Chunk sizes tried, in bytes.
const CHUNKS: [usize; 4] = [64 << 10, 128 << 10, 256 << 10, LARGEST_CHUNK];

/// Trials of each method.
const TRIALS: usize = 3;

/// Round trips in a batch.
const TRIPS: u64 = 1000;

/// Fewest rounds measured.
const LEAST_ROUNDS: usize = 3;

/// Words of a slot in which a rank tells when it began and ended, in nanoseconds.
const BEGAN: usize = 4;
const ENDED: usize = 5;

/// What the ranks do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Stop,
    OneWay,
    BothWays,
    Ping,
}

/// Runs the case.
pub(crate) fn run(context: &mut Context<'_>) -> Result<(), CaseError> {
    let bytes = context
        .params
        .integer("bytes", 4096..=1 << 36)?
        .unwrap_or(MESSAGE)
        .next_multiple_of(4096) as usize;
    if context.world < 2 {
        return Err(CaseError::Unsupported("at least 2 cores".to_owned()));
    }
    if context.world > 2 {
        return Err(CaseError::Wrong(format!(
            "this kernel is for 2 ranks, not {}",
            context.world
        )));
    }
    context.cpus.truncate(1);
    let device = context.device();
    let pinned = Team::new(&context.cpus).map_err(|source| CaseError::Threads {
        device: device.clone(),
        source,
    })?;
    let free = context.free_memory()?;
    if (bytes as u64) * 2 > free {
        return Err(CaseError::Wrong(format!(
            "two messages of {bytes} bytes are more than this rank's share of free memory, {free}"
        )));
    }
    let Some(segment) = context.join(RING_BYTES)? else {
        return Err(CaseError::Unsupported("at least 2 cores".to_owned()));
    };
    let end = End::new(segment, context.rank, bytes)?;
    let mut pair = Pair {
        end,
        rank: context.rank,
        messages: 0,
        methods: methods(),
    };
    context
        .report
        .note("bytes per message", bytes.to_string())?;

    context.report.phase(Phase::Warmup)?;
    let best = pair.calibrate()?;
    if context.rank == 0 {
        let Method { chunk, shape } = pair.methods[best];
        let copy = shape.map_or("the C library's copy", |shape| shape.name);
        context.report.note(
            "method",
            format!("chunks of {chunk} bytes, received with {copy}"),
        )?;
    }
    pair.step(Step::BothWays, best)?;
    pair.step(Step::Ping, best)?;

    context.report.phase(Phase::Measure)?;
    let metrics = metrics();
    let mut values: [Vec<f64>; 3] = Default::default();
    let begin = mono_ns();
    let mut step = Step::OneWay;
    loop {
        let (done, seconds) = pair.step(step, best)?;
        if done == Step::Stop {
            break;
        }
        let (at, value) = match done {
            Step::OneWay => (0, bytes as f64 / seconds / 1e9),
            Step::BothWays => (1, 2.0 * bytes as f64 / seconds / 1e9),
            Step::Ping | Step::Stop => (2, seconds / TRIPS as f64 / 2.0 * 1e6),
        };
        values[at].push(value);
        let remaining = context.duration.as_secs_f64() - seconds_since(begin);
        step = match done {
            Step::OneWay => Step::BothWays,
            Step::BothWays => Step::Ping,
            _ if remaining <= 0.0 && values[2].len() >= LEAST_ROUNDS => Step::Stop,
            _ => Step::OneWay,
        };
        if context.rank == 0
            && context.report.live_is_due()
            && let Some(value) = median(&values[0])
        {
            context.report.live(&metrics[0], value, remaining)?;
        }
    }

    context.report.phase(Phase::Verify)?;
    // The last exchange went both ways, so either rank has a message to check.
    pair.end.check_all(pair.messages)?;
    // Rank 0 reports only after rank 1 has checked too.
    pair.end.segment().barrier()?;
    let checked = Verification::Checked(format!(
        "numbers in each page of {} messages, every word of the last",
        pair.messages
    ));
    pair.end.leave();
    drop(pinned);
    if context.rank == 0 {
        let figures = metrics.iter().zip(&values);
        context.report.figures(&device, figures, &checked)?;
    }
    Ok(())
}

fn metrics() -> [Metric; 3] {
    let metric = |suffix: &str, unit, better, definition: &str| Metric {
        name: format!("interconnect-P2P_intraserver-{suffix}"),
        unit,
        better,
        definition: definition.to_owned(),
    };
    [
        metric(
            "bandwidth",
            Unit::GB_PER_S,
            Better::Higher,
            "bytes that one process copied to another through shared memory, one direction, \
             counted once, divided by the time from the first start to the last end",
        ),
        metric(
            "bidirectional",
            Unit::GB_PER_S,
            Better::Higher,
            "bytes of two messages that pass each other at the same time, each counted once, \
             divided by the time from the first start to the last end",
        ),
        metric(
            "latency",
            Unit::MICROSECONDS,
            Better::Lower,
            "half of a round trip of 8 bytes between two processes, mean of a batch of 1000",
        ),
    ]
}

fn methods() -> Vec<Method> {
    // The page walkers with non-temporal stores are for arrays that no cache holds, as the
    // receiver's buffer is one; the plain copy wins where it does fit.
    let shapes = Shape::available();
    let shape = shapes
        .iter()
        .rfind(|shape| shape.name.ends_with("non-temporal, 8 pages"));
    let copies = [None, shape.copied()];
    let mut methods: Vec<Method> = Vec::new();
    for chunk in CHUNKS {
        for shape in copies {
            if shape.is_some() || methods.last().is_none_or(|m| m.chunk != chunk) {
                methods.push(Method { chunk, shape });
            }
        }
    }
    methods
}

struct Pair {
    end: End,
    rank: u32,
    messages: u64,
    methods: Vec<Method>,
}

impl Pair {
    /// The index of the fastest method, the same in both ranks.
    fn calibrate(&mut self) -> Result<usize, CaseError> {
        let mut best = (f64::INFINITY, 0);
        for _ in 0..TRIALS {
            for method in 0..self.methods.len() {
                let (_, seconds) = self.step(Step::OneWay, method)?;
                if seconds < best.0 {
                    best = (seconds, method);
                }
            }
        }
        Ok(self.end.segment().agree(best.1 as u64)? as usize)
    }

    /// Does what rank 0 wants done, and returns it and its time in seconds, from the first start
    /// to the last end, the same in both ranks.
    fn step(&mut self, wanted: Step, method: usize) -> Result<(Step, f64), CaseError> {
        let step = match self.end.segment().agree(wanted as u64)? {
            1 => Step::OneWay,
            2 => Step::BothWays,
            3 => Step::Ping,
            _ => return Ok((Step::Stop, 0.0)),
        };
        let method = self.methods[method];
        let send = self.rank == 0 || step == Step::BothWays;
        let receive = self.rank == 1 || step == Step::BothWays;
        if step != Step::Ping {
            self.messages += 1;
            if send {
                self.end.stamp(self.messages);
            }
        }
        self.end.segment().barrier()?;
        let began = mono_ns();
        if step == Step::Ping {
            self.end.ping(TRIPS)?;
        } else {
            self.end.exchange(method, send, receive)?;
        }
        let ended = mono_ns();
        if receive && step != Step::Ping {
            self.end.check_stamps(self.messages)?;
        }
        let rank = self.rank;
        let segment = self.end.segment();
        segment.slot(rank).words[BEGAN].store(began, Ordering::Release);
        segment.slot(rank).words[ENDED].store(ended, Ordering::Release);
        segment.barrier()?;
        let times =
            |word: usize| [0, 1].map(|r| segment.slot(r).words[word].load(Ordering::Acquire));
        let [first, second] = times(BEGAN);
        let began = first.min(second);
        let [first, second] = times(ENDED);
        let ended = first.max(second);
        Ok((step, (ended - began) as f64 / 1e9))
    }
}
