//! The case around the vectors: warm-up, repetitions, decisions of rank 0, figures.

use std::sync::atomic::Ordering;

use flagperf_model::{Better, Phase, Unit, Verification, median};

use super::vectors::Vectors;
use crate::clock::{mono_ns, seconds_since};
use crate::driver::{CaseError, Context};
use crate::reporter::Metric;
use crate::shared::Segment;
use crate::team::Team;

/// Default vector, in bytes.
const VECTOR: u64 = 64 << 20;

/// Fewest repetitions, warm-up and measured alike.
pub(crate) const LEAST: usize = 3;

/// Longest warm-up, in seconds.
pub(crate) const WARMUP_S: f64 = 1.0;

/// Two repetitions closer than this share are steady.
const STEADY: f64 = 0.02;

/// Words of a slot in which a rank tells when it began and ended, in nanoseconds.
const BEGAN: usize = 0;
const ENDED: usize = 1;

/// Rank 0's decisions.
const STOP: u64 = 0;
const AGAIN: u64 = 1;

/// Runs the case.
pub(crate) fn run(context: &mut Context<'_>) -> Result<(), CaseError> {
    let bytes = context
        .params
        .integer("bytes", 4..=1 << 36)?
        .unwrap_or(VECTOR)
        .next_multiple_of(4) as usize;
    let Some(mut segment) = context.join(bytes)? else {
        return Err(CaseError::Unsupported("at least 2 cores".to_owned()));
    };
    let device = context.device();
    let team = Team::new(&context.cpus).map_err(|source| CaseError::Threads {
        device: device.clone(),
        source,
    })?;
    context.report.note("bytes per rank", bytes.to_string())?;
    context.report.note("ranks", context.world.to_string())?;
    context.report.note("threads", team.size().to_string())?;
    let mut ranks = Ranks {
        segment: &mut segment,
        team,
        rank: context.rank,
        elements: bytes / 4,
        repetition: 0,
    };

    context.report.phase(Phase::Warmup)?;
    let begin = mono_ns();
    let mut times: Vec<f64> = Vec::new();
    while let Some(seconds) = {
        let again = times.len() < LEAST || !(steady(&times) || seconds_since(begin) > WARMUP_S);
        ranks.repeat(again)?
    } {
        times.push(seconds);
    }

    context.report.phase(Phase::Measure)?;
    let factor = bus_factor(context.world);
    let metrics = metrics();
    let mut algorithm: Vec<f64> = Vec::new();
    let begin = mono_ns();
    loop {
        let remaining = context.duration.as_secs_f64() - seconds_since(begin);
        if context.rank == 0
            && context.report.live_is_due()
            && let Some(value) = median(&algorithm)
        {
            context
                .report
                .live(&metrics[0], value * factor, remaining)?;
        }
        match ranks.repeat(remaining > 0.0 || algorithm.len() < LEAST)? {
            Some(seconds) => algorithm.push(bytes as f64 / seconds / 1e9),
            None => break,
        }
    }

    context.report.phase(Phase::Verify)?;
    ranks.check(true)?;
    let text = format!(
        "one element in 61 of {} sums, every element of the last, exactly",
        ranks.repetition
    );
    drop(ranks);
    // Rank 0 reports only after every rank has checked its own.
    segment.barrier()?;
    segment.leave();
    if context.rank == 0 {
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
        name: format!("interconnect-MPI_intraserver-{suffix}"),
        unit: Unit::GB_PER_S,
        better: Better::Higher,
        definition: definition.to_owned(),
    };
    [
        metric(
            "bandwidth",
            "bus bandwidth of an all-reduce: bytes per rank / time of the slowest rank, times \
             2 (n - 1) / n for n ranks",
        ),
        metric(
            "algbw",
            "algorithm bandwidth of an all-reduce: bytes per rank / time of the slowest rank",
        ),
    ]
}

/// What turns algorithm bandwidth into bus bandwidth, as nccl-tests define it for an all-reduce.
pub(crate) fn bus_factor(world: u32) -> f64 {
    2.0 * f64::from(world.saturating_sub(1)) / f64::from(world)
}

/// Whether the last two repetitions took about the same time.
pub(crate) fn steady(times: &[f64]) -> bool {
    match times {
        [.., before, last] => (last - before).abs() < STEADY * last,
        _ => false,
    }
}

/// The ranks of the machine, seen from one of them.
struct Ranks<'a> {
    segment: &'a mut Segment,
    team: Team,
    rank: u32,
    elements: usize,
    repetition: u64,
}

impl Ranks<'_> {
    /// One all-reduce if rank 0 wants one; its time in seconds from the first start to the last
    /// end, the same in all ranks.
    fn repeat(&mut self, again: bool) -> Result<Option<f64>, CaseError> {
        if self.segment.agree(if again { AGAIN } else { STOP })? == STOP {
            return Ok(None);
        }
        self.repetition += 1;
        let vectors = Vectors::new(self.segment, self.rank, self.elements);
        vectors.fill(&mut self.team, self.repetition);
        self.segment.barrier()?;
        let began = mono_ns();
        vectors.reduce(&mut self.team)?;
        let ended = mono_ns();
        let words = &self.segment.slot(self.rank).words;
        words[BEGAN].store(began, Ordering::Release);
        words[ENDED].store(ended, Ordering::Release);
        self.segment.barrier()?;
        let word =
            |rank: u32, word: usize| self.segment.slot(rank).words[word].load(Ordering::Acquire);
        let (mut first, mut last) = (began, ended);
        for rank in 0..self.segment.world() {
            first = first.min(word(rank, BEGAN));
            last = last.max(word(rank, ENDED));
        }
        self.check(false)?;
        Ok(Some((last - first) as f64 / 1e9))
    }

    /// Compares this rank's result with the sums of what all ranks put in.
    fn check(&mut self, all: bool) -> Result<(), CaseError> {
        let vectors = Vectors::new(self.segment, self.rank, self.elements);
        match vectors.first_wrong(&mut self.team, self.repetition, all) {
            None => Ok(()),
            Some((i, found, expected)) => Err(CaseError::Wrong(format!(
                "wrong sum: element {i} of rank {} is {found} instead of {expected}",
                self.rank
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bus_bandwidth_as_nccl_tests_count_it() {
        for (world, factor) in [(2, 1.0), (3, 4.0 / 3.0), (4, 1.5), (8, 1.75)] {
            assert!((bus_factor(world) - factor).abs() < 1e-12);
        }
    }
}
