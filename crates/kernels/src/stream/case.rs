//! The case around the loops: arrays, calibration, rounds, check.

use std::path::Path;

use flagperf_model::{Better, Phase, Unit, Verification, median};

use super::loops::{BLOCK, Op, Operands, Shape};
use crate::clock::{mono_ns, seconds_since};
use crate::cpus;
use crate::driver::{CaseError, Context};
use crate::region::{HUGE_PAGE, Region};
use crate::reporter::Metric;
use crate::team::Team;

/// The smallest default array: past the caches of a machine that does not tell their size.
const LEAST_BYTES: u64 = 256 << 20;

/// Arrays are so many times all last-level caches, as STREAM's rules ask.
const CACHES: u64 = 4;

/// Of the memory that is free, arrays take at most this share, in percent.
const SHARE_OF_FREE: u64 = 70;

/// Shapes of an operation that get further trials after the first.
const LEADERS: usize = 4;

/// Further trials of the leaders.
const TRIALS: usize = 3;

/// Fewest rounds measured, however short the duration.
const LEAST_ROUNDS: usize = 3;

/// With this scalar, 2 s + s² = 1: a round of the four operations leaves the elements as they were,
/// but for rounding, and they can neither overflow nor vanish however long the case runs.
const SCALAR: f64 = std::f64::consts::SQRT_2 - 1.0;

/// Elements start as 1 + (i mod 1021) / 1024: exact, and 1021 is a prime, so that an element that
/// lands in a wrong line, page or block is noticed.
const PERIOD: usize = 1021;

/// Runs the case.
pub(crate) fn run(context: &mut Context<'_>) -> Result<(), CaseError> {
    let device = context.device();
    let elements = array_elements(context)?;
    let mut segment = context.join(0)?;
    let team = Team::new(&context.cpus).map_err(|source| CaseError::Threads {
        device: device.clone(),
        source,
    })?;
    let mut arrays = Arrays::new(team, elements)?;
    context
        .report
        .note("threads", arrays.team.size().to_string())?;
    context
        .report
        .note("bytes per array", (elements * 8).to_string())?;
    context.report.note("pages", arrays.pages())?;
    arrays.fill();

    context.report.phase(Phase::Warmup)?;
    let shapes = calibrate(&mut arrays);
    for (op, shape) in Op::ALL.into_iter().zip(&shapes) {
        context
            .report
            .note(&format!("loop of {}", op.name()), shape.name)?;
    }
    let metrics = Op::ALL.map(metric);
    if let Some(segment) = &mut segment {
        segment.barrier()?;
    }

    context.report.phase(Phase::Measure)?;
    let mut rates: [Vec<f64>; 4] = Default::default();
    let begin = mono_ns();
    loop {
        for (at, op) in Op::ALL.into_iter().enumerate() {
            rates[at].push(arrays.rate(op, shapes[at]));
        }
        let remaining = context.duration.as_secs_f64() - seconds_since(begin);
        if context.report.live_is_due()
            && let Some(value) = median(&rates[0])
        {
            context.report.live(&metrics[0], value, remaining)?;
        }
        if remaining <= 0.0 && rates[0].len() >= LEAST_ROUNDS {
            break;
        }
    }

    context.report.phase(Phase::Verify)?;
    if let Some(segment) = segment {
        // The arrays are checked only when no rank measures any more.
        segment.barrier()?;
        segment.leave();
    }
    let checked = Verification::Checked(arrays.check()?);
    let figures = metrics.iter().zip(&rates);
    Ok(context.report.figures(&device, figures, &checked)?)
}

fn metric(op: Op) -> Metric {
    let (suffix, formula) = match op {
        Op::Copy => ("", "c = a"),
        Op::Scale => ("-scale", "b = s c"),
        Op::Add => ("-add", "c = a + b"),
        Op::Triad => ("-triad", "a = b + s c"),
    };
    Metric {
        name: format!("main_memory-bandwidth{suffix}"),
        unit: Unit::GB_PER_S,
        better: Better::Higher,
        definition: format!(
            "bytes read plus bytes written by {formula} ({} per element of 8 bytes), divided by \
             the time of the slowest thread",
            op.bytes_per_element()
        ),
    }
}

/// Elements of each array: the parameter `bytes`, or as much as the caches and the memory ask for.
fn array_elements(context: &mut Context<'_>) -> Result<usize, CaseError> {
    let given = context.params.integer("bytes", 1..=1 << 46)?;
    let caches = cpus::last_level_cache(Path::new("/sys"));
    let wanted = given.unwrap_or_else(|| (CACHES * caches.unwrap_or(0)).max(LEAST_BYTES));
    let most = context.free_memory()? / 100 * SHARE_OF_FREE / 3;
    let bytes = wanted.min(most);
    match caches {
        Some(caches) => {
            let times = bytes as f64 / caches as f64;
            let text = format!("{caches} bytes; an array is {times:.2} times as large");
            context.report.note("last-level caches", text)?;
        }
        None => context
            .report
            .note("last-level caches", "unknown to the system")?,
    }
    if bytes < wanted {
        let text = format!("{bytes} instead of {wanted} bytes per array: memory is scarce");
        context.report.note("smaller arrays", text)?;
    }
    let block = BLOCK * context.cpus.len();
    let elements = (bytes as usize / 8).next_multiple_of(block);
    if bytes == 0 {
        return Err(CaseError::Wrong("no memory is free".to_owned()));
    }
    Ok(elements)
}

/// The fastest shape for each operation: one trial of each, then [`TRIALS`] of the leaders.
fn calibrate(arrays: &mut Arrays) -> [Shape; 4] {
    Op::ALL.map(|op| {
        let mut best: Vec<(f64, Shape)> = Shape::available()
            .into_iter()
            .map(|shape| (arrays.rate(op, shape), shape))
            .collect();
        let faster = |a: &(f64, Shape), b: &(f64, Shape)| b.0.total_cmp(&a.0);
        best.sort_by(faster);
        best.truncate(LEADERS);
        for _ in 0..TRIALS {
            for (rate, shape) in &mut best {
                *rate = rate.max(arrays.rate(op, *shape));
            }
        }
        best.sort_by(faster);
        // There is always the plain shape, so the list is not empty.
        best[0].1
    })
}

/// The three arrays, who works on which part of them, and what was done to them so far.
struct Arrays {
    team: Team,
    regions: [Region; 3],
    parts: Vec<(usize, usize)>,
    history: Vec<(Op, bool)>,
}

impl Arrays {
    fn new(team: Team, elements: usize) -> Result<Self, CaseError> {
        let region = || {
            Region::new(elements * 8).map_err(|source| CaseError::Memory {
                bytes: elements * 8,
                source,
            })
        };
        let parts = parts(elements, team.size());
        Ok(Self {
            team,
            regions: [region()?, region()?, region()?],
            parts,
            history: Vec::new(),
        })
    }

    fn pages(&self) -> &'static str {
        if self.regions.iter().all(Region::huge_pages_advised) {
            "huge pages advised"
        } else {
            "small pages"
        }
    }

    fn pointer(&self, array: usize) -> *mut f64 {
        self.regions[array].start().cast()
    }

    /// Each thread writes its part of every array, so that the pages are near it.
    fn fill(&mut self) {
        let (regions, parts) = (&self.regions, &self.parts);
        self.team.run(&|member| {
            let (begin, length) = parts[member];
            for (array, region) in regions.iter().enumerate() {
                // SAFETY: parts are disjoint and lie inside the region.
                let part = unsafe {
                    std::slice::from_raw_parts_mut(region.start().cast::<f64>().add(begin), length)
                };
                for (i, element) in part.iter_mut().enumerate() {
                    *element = start(array, begin + i);
                }
            }
        });
    }

    /// Does `op` once on all threads and returns its rate in GB/s.
    fn rate(&mut self, op: Op, shape: Shape) -> f64 {
        let (to, x, y) = match op {
            Op::Copy => (2, 0, 0),
            Op::Scale => (1, 2, 2),
            Op::Add => (2, 0, 1),
            Op::Triad => (0, 1, 2),
        };
        let pointers = Pointers(self.pointer(to), self.pointer(x), self.pointer(y));
        let parts = &self.parts;
        let begin_ns = mono_ns();
        self.team.run(&|member| {
            let (begin, n) = parts[member];
            let Pointers(to, x, y) = pointers.all();
            // SAFETY: the part lies inside the arrays, in whole blocks from a block's start on;
            // `to` is another array than `x` and `y`, and no other thread has this part.
            unsafe {
                shape.run(
                    op,
                    Operands {
                        to: to.add(begin),
                        x: x.add(begin),
                        y: y.add(begin),
                        s: SCALAR,
                        n,
                    },
                );
            }
        });
        let seconds = seconds_since(begin_ns);
        self.history.push((op, shape.fused));
        let elements = self.regions[0].bytes() / 8;
        (elements * op.bytes_per_element()) as f64 / seconds / 1e9
    }

    /// Compares every element with what the operations done so far must have made of it.
    fn check(&mut self) -> Result<String, CaseError> {
        let expected = expected(&self.history);
        let wrong = std::sync::Mutex::new(None);
        let (regions, parts) = (&self.regions, &self.parts);
        self.team.run(&|member| {
            let (begin, length) = parts[member];
            for (array, region) in regions.iter().enumerate() {
                // SAFETY: the part lies inside the region and nobody writes now.
                let part = unsafe {
                    std::slice::from_raw_parts(region.start().cast::<f64>().add(begin), length)
                };
                let bad = part
                    .iter()
                    .enumerate()
                    .find(|(i, value)| **value != expected[array][(begin + i) % PERIOD]);
                if let Some((i, value)) = bad
                    && let Ok(mut wrong) = wrong.lock()
                {
                    let at = begin + i;
                    *wrong = Some((array, at, *value, expected[array][at % PERIOD]));
                }
            }
        });
        match wrong.into_inner() {
            Ok(None) => Ok(format!(
                "every element of three arrays after {} operations, exactly",
                self.history.len()
            )),
            Ok(Some((array, at, found, expected))) => Err(CaseError::Wrong(format!(
                "wrong data in memory: element {at} of array {} is {found:e} instead of \
                 {expected:e} after {} operations",
                ["a", "b", "c"][array],
                self.history.len()
            ))),
            Err(_) => Err(CaseError::Wrong("the check itself failed".to_owned())),
        }
    }
}

/// Pointers that the threads of a team may have; which part is whose is the team's business.
#[derive(Clone, Copy)]
struct Pointers(*mut f64, *const f64, *const f64);

// SAFETY: sharing the addresses does nothing; their use is justified where they are dereferenced.
unsafe impl Sync for Pointers {}

impl Pointers {
    /// Taken through a method, so that a closure captures the whole, which may be shared.
    fn all(&self) -> Self {
        *self
    }
}

/// What element `i` of an array starts as.
fn start(array: usize, i: usize) -> f64 {
    (1.0 + (i % PERIOD) as f64 / 1024.0) * [1.0, 2.0, 0.0][array]
}

/// What the operations make of the starting values of one period of each array.
fn expected(history: &[(Op, bool)]) -> [Vec<f64>; 3] {
    let mut arrays: [Vec<f64>; 3] =
        std::array::from_fn(|array| (0..PERIOD).map(|i| start(array, i)).collect());
    let [a, b, c] = &mut arrays;
    for (op, fused) in history {
        for i in 0..PERIOD {
            match op {
                Op::Copy => c[i] = a[i],
                Op::Scale => b[i] = SCALAR * c[i],
                Op::Add => c[i] = a[i] + b[i],
                Op::Triad if *fused => a[i] = SCALAR.mul_add(c[i], b[i]),
                Op::Triad => a[i] = b[i] + SCALAR * c[i],
            }
        }
    }
    arrays
}

/// Splits `elements` into a part (begin, length) for each member: in whole huge pages where that
/// leaves the parts within a few percent of each other, else in blocks.
fn parts(elements: usize, members: usize) -> Vec<(usize, usize)> {
    let huge = HUGE_PAGE / 8;
    let grain = if elements / members >= 32 * huge {
        huge
    } else {
        BLOCK
    };
    let cut = |member: usize| {
        if member == members {
            elements
        } else {
            elements / grain * member / members * grain
        }
    };
    (0..members)
        .map(|member| (cut(member), cut(member + 1) - cut(member)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_are_whole_blocks_that_cover_everything(
            blocks in 1usize..100_000, members in 1usize..300
        ) {
            let elements = blocks * members * BLOCK;
            let parts = parts(elements, members);
            let mut next = 0;
            for (begin, length) in &parts {
                prop_assert_eq!(*begin, next);
                prop_assert_eq!(length % BLOCK, 0);
                next += length;
            }
            prop_assert_eq!(next, elements);
        }
    }

    #[test]
    fn the_recurrence_neither_grows_nor_vanishes() {
        let history: Vec<(Op, bool)> = Op::ALL
            .into_iter()
            .cycle()
            .take(40_000)
            .map(|op| (op, true))
            .collect();
        let [a, ..] = expected(&history);
        for (i, value) in a.iter().enumerate() {
            assert!((value / start(0, i) - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn one_wrong_element_is_found() {
        let cpus = cpus::allowed().unwrap();
        let elements = 4 * BLOCK * cpus.len();
        let mut arrays = Arrays::new(Team::new(&cpus).unwrap(), elements).unwrap();
        arrays.fill();
        let shape = Shape::available().pop().unwrap();
        for op in Op::ALL {
            arrays.rate(op, shape);
        }
        assert!(arrays.check().is_ok());
        // SAFETY: the element exists and no thread works now.
        unsafe { *arrays.pointer(1).add(elements - 1) += 1e-15 };
        let error = arrays.check().unwrap_err().to_string();
        assert!(
            error.contains(&format!("element {} of array b", elements - 1)),
            "{error}"
        );
    }
}
