//! What every all-reduce does around its transport: warm-up, repetitions, decisions of rank 0, figures.

use flagperf_model::{Better, Phase, Unit, Verification, median};

use crate::clock::{mono_ns, seconds_since};
use crate::driver::{CaseError, Context};
use crate::reporter::Metric;

/// Fewest repetitions, warm-up and measured alike.
const LEAST: usize = 3;

/// Longest warm-up, in seconds.
const WARMUP_S: f64 = 1.0;

/// Two repetitions closer than this share are steady.
const STEADY: f64 = 0.02;

/// Rank 0's decisions.
const STOP: u64 = 0;
const AGAIN: u64 = 1;

/// All ranks, seen from one of them, with their vectors and the ways between them.
pub(crate) trait Ranks {
    /// This rank.
    fn rank(&self) -> u32;

    /// Number of ranks.
    fn world(&self) -> u32;

    /// A phase begins.
    fn enter(&mut self, phase: Phase);

    /// What rank 0 says, everywhere.
    fn agree(&mut self, word: u64) -> Result<u64, CaseError>;

    /// Waits for all ranks.
    fn barrier(&mut self) -> Result<(), CaseError>;

    /// One all-reduce of vectors filled for this repetition, of which a sample of sums is checked.
    /// Its time in seconds; at rank 0 that of the slowest rank.
    fn repeat(&mut self, repetition: u64) -> Result<f64, CaseError>;

    /// Compares every sum of this rank's with what all ranks put in.
    fn check(&mut self, repetition: u64) -> Result<(), CaseError>;
}

/// Repetitions of one size.
struct Runs<'a, R> {
    ranks: &'a mut R,
    repetition: u64,
}

impl<R: Ranks> Runs<'_, R> {
    /// One all-reduce if rank 0 wants one, and its time in seconds.
    fn repeat(&mut self, again: bool) -> Result<Option<f64>, CaseError> {
        if self.ranks.agree(if again { AGAIN } else { STOP })? == STOP {
            return Ok(None);
        }
        self.repetition += 1;
        self.ranks.repeat(self.repetition).map(Some)
    }
}

/// Measures all-reduces of vectors of `bytes`, and reports as `interconnect-MPI_PLACE-…`.
pub(crate) fn measure(
    context: &mut Context<'_>,
    ranks: &mut impl Ranks,
    place: &str,
    device: &str,
    bytes: u64,
) -> Result<(), CaseError> {
    let leads = ranks.rank() == 0;
    let factor = bus_factor(ranks.world());
    let mut runs = Runs {
        ranks,
        repetition: 0,
    };
    runs.ranks.enter(Phase::Warmup);
    let begin = mono_ns();
    let mut times: Vec<f64> = Vec::new();
    while let Some(seconds) = {
        let again = times.len() < LEAST || !(steady(&times) || seconds_since(begin) > WARMUP_S);
        runs.repeat(again)?
    } {
        times.push(seconds);
    }

    context.report.phase(Phase::Measure)?;
    runs.ranks.enter(Phase::Measure);
    let metrics = metrics(place);
    let mut algorithm: Vec<f64> = Vec::new();
    let begin = mono_ns();
    loop {
        let remaining = context.duration.as_secs_f64() - seconds_since(begin);
        if leads
            && context.report.live_is_due()
            && let Some(value) = median(&algorithm)
        {
            let value = value * factor;
            context.report.live(&metrics[0], value, remaining)?;
        }
        match runs.repeat(remaining > 0.0 || algorithm.len() < LEAST)? {
            Some(seconds) => algorithm.push(bytes as f64 / seconds / 1e9),
            None => break,
        }
    }

    context.report.phase(Phase::Verify)?;
    runs.ranks.enter(Phase::Verify);
    runs.ranks.check(runs.repetition)?;
    // Rank 0 reports only after every rank has checked its own.
    runs.ranks.barrier()?;
    if leads {
        let checked = Verification::Checked(format!(
            "one element in 61 of {} sums, every element of the last, exactly",
            runs.repetition
        ));
        let bus: Vec<f64> = algorithm.iter().map(|rate| rate * factor).collect();
        let figures = metrics.iter().zip([&bus, &algorithm]);
        context.report.figures(device, figures, &checked)?;
    }
    Ok(())
}

fn metrics(place: &str) -> [Metric; 2] {
    let metric = |suffix: &str, definition: &str| Metric {
        name: format!("interconnect-MPI_{place}-{suffix}"),
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
fn bus_factor(world: u32) -> f64 {
    2.0 * f64::from(world.saturating_sub(1)) / f64::from(world)
}

/// Whether the last two repetitions took about the same time.
fn steady(times: &[f64]) -> bool {
    match times {
        [.., before, last] => (last - before).abs() < STEADY * last,
        _ => false,
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
