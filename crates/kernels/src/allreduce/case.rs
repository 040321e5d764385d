//! The case around the vectors: the ranks of one machine, their memory and their clock.

use std::sync::atomic::Ordering;

use flagperf_model::Phase;

use super::measure::{Ranks, measure};
use super::vectors::Vectors;
use crate::clock::mono_ns;
use crate::driver::{CaseError, Context};
use crate::shared::Segment;
use crate::team::Team;

/// Default vector, in bytes.
pub(crate) const VECTOR: u64 = 64 << 20;

/// Words of a slot in which a rank tells when it began and ended, in nanoseconds.
const BEGAN: usize = 0;
const ENDED: usize = 1;

/// Runs the case.
pub(crate) fn run(context: &mut Context<'_>) -> Result<(), CaseError> {
    let bytes = context
        .params
        .integer("bytes", 4..=1 << 36)?
        .unwrap_or(VECTOR)
        .next_multiple_of(4);
    let Some(segment) = context.join(bytes as usize)? else {
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
    context.report.phase(Phase::Warmup)?;
    let mut machine = Machine {
        segment,
        team,
        rank: context.rank,
        elements: bytes as usize / 4,
    };
    measure(context, &mut machine, "intraserver", &device, bytes)?;
    machine.segment.leave();
    Ok(())
}

/// The ranks of the machine, seen from one of them.
struct Machine {
    segment: Segment,
    team: Team,
    rank: u32,
    elements: usize,
}

impl Machine {
    /// Compares this rank's result with the sums of what all ranks put in, every one or a sample.
    fn compare(&mut self, repetition: u64, all: bool) -> Result<(), CaseError> {
        let vectors = Vectors::new(&self.segment, self.rank, self.elements);
        match vectors.first_wrong(&mut self.team, repetition, all) {
            None => Ok(()),
            Some((i, found, expected)) => Err(CaseError::Wrong(format!(
                "wrong sum: element {i} of rank {} is {found} instead of {expected}",
                self.rank
            ))),
        }
    }
}

impl Ranks for Machine {
    fn rank(&self) -> u32 {
        self.rank
    }

    fn world(&self) -> u32 {
        self.segment.world()
    }

    fn enter(&mut self, _: Phase) {}

    fn agree(&mut self, word: u64) -> Result<u64, CaseError> {
        Ok(self.segment.agree(word)?)
    }

    fn barrier(&mut self) -> Result<(), CaseError> {
        Ok(self.segment.barrier()?)
    }

    /// The time from the first start to the last end, the same in all ranks.
    fn repeat(&mut self, repetition: u64) -> Result<f64, CaseError> {
        let vectors = Vectors::new(&self.segment, self.rank, self.elements);
        vectors.fill(&mut self.team, repetition);
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
        self.compare(repetition, false)?;
        Ok((last - first) as f64 / 1e9)
    }

    fn check(&mut self, repetition: u64) -> Result<(), CaseError> {
        self.compare(repetition, true)
    }
}
