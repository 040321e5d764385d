//! Main memory capacity: how much can really be allocated *and touched*.
//!
//! **Counted.** The bytes of all pages of 4 KiB into which this program has written, in a private
//! anonymous mapping. Memory that is merely promised does not count, nor do huge pages that an
//! administrator has set aside (`nr_hugepages`), which ordinary programs cannot have.
//!
//! **How far it goes.** Up to what is free at the start less a reserve, where free is the least of
//! `MemAvailable` and the room in each control group from our own to the root (see [`crate::room`]),
//! shared equally among the ranks of the node. The reserve is the parameter `reserve` or 5 % of the
//! lowest limit, at least 512 MiB but no more than a quarter of that limit. The parameter `bytes`
//! ends it earlier.
//!
//! **How it stays harmless.** Before anything else the process offers itself to the out-of-memory
//! killer (`oom_score_adj` 1000), so that if anything has to die it is this case. Memory is touched
//! in steps of at most 1/64 of the goal. After each step the free memory is read again, and the case
//! stops when the next step would eat into the reserve or when free swap shrinks. When processes were
//! stalled for memory for more than a fifth of a step (pressure `full`), it stops if less than twice
//! the reserve is free; with more than that free the stall comes from the making of huge pages, and
//! the case goes on with small ones.
//!
//! **Warm-up and repetition.** None: the first touch is what is measured, and it happens once. The
//! rate of touching has one repetition a step. The duration is ignored.
//!
//! **Check.** The first and the last word of each page get a value made of the page's number; at the
//! end up to a million pages, evenly spread, are read back.
//!
//! **Biases that remain.** The reserve, and whatever the kernel and other processes take, is not
//! counted, so the figure is what a program gets, not what is soldered to the board. Page cache that
//! the kernel would have to write out first is counted as free only as far as `MemAvailable` does so.
//! The rate of touching includes the kernel's clearing of pages, and depends on huge pages. In a
//! virtual machine it includes the host's own page faults where the host gives memory on demand.

use std::fs;
use std::path::Path;

use flagperf_model::{Better, Phase, Unit, Verification};

use crate::clock::{mono_ns, seconds_since};
use crate::driver::{CaseError, Context};
use crate::region::{HUGE_PAGE, Region};
use crate::reporter::Metric;
use crate::room::Room;
use crate::team::Team;

/// Least default reserve, in bytes.
const LEAST_RESERVE: u64 = 512 << 20;

/// The goal is reached in so many steps, or in more where they would be larger than `LARGEST_STEP`.
const STEPS: u64 = 64;

/// Largest step for each thread, in bytes.
const LARGEST_STEP: u64 = 512 << 20;

/// Free swap that may vanish without it being our doing, in bytes.
const SWAP_NOISE: u64 = 1 << 20;

/// Share of a step's time for which all runnable processes may be stalled for memory.
const STALL_SHARE: f64 = 0.2;

/// Bytes of a page that one touch makes real.
const PAGE: usize = 4096;

/// Most pages that are read back.
const PAGES_CHECKED: usize = 1 << 20;

/// Runs the case.
pub(crate) fn run(context: &mut Context<'_>) -> Result<(), CaseError> {
    let root = Path::new("/");
    let device = context.device();
    let offered = fs::write("/proc/self/oom_score_adj", "1000");
    context.report.note(
        "oom_score_adj",
        offered.map_or_else(
            |error| format!("unchanged: {error}"),
            |()| "1000".to_owned(),
        ),
    )?;
    let mut team = Team::new(&context.cpus).map_err(|source| CaseError::Threads {
        device: device.clone(),
        source,
    })?;
    let segment = context.join(0)?;
    let start = Room::read(root)?;
    if let Some(segment) = &segment {
        // Nobody touches before everybody has read the room.
        segment.barrier()?;
    }
    let plan = Plan::new(context, &start)?;
    for group in &start.groups {
        let text = format!(
            "{}: {} of {} bytes used",
            group.path.display(),
            group.used,
            group.limit
        );
        context.report.note("control group", text)?;
    }
    context.report.note("free", start.free().to_string())?;
    context.report.note("reserve", plan.reserve.to_string())?;
    context.report.note("threads", team.size().to_string())?;
    let mut region = map(plan.goal)?;
    if (region.bytes() as u64) < plan.goal {
        let text = format!("{} of {} bytes", region.bytes(), plan.goal);
        context.report.note("address space granted", text)?;
    }

    context.report.phase(Phase::Measure)?;
    let capacity = capacity_metric();
    let mut rates = Vec::new();
    let mut touched = 0usize;
    let begin = mono_ns();
    let reason = loop {
        let step = (plan.step as usize).min(region.bytes() - touched);
        if step == 0 {
            break if (region.bytes() as u64) < plan.goal {
                "no more address space was granted"
            } else if plan.asked_for {
                "the size asked for is reached"
            } else {
                "the reserve is reached"
            };
        }
        let stalled = full_stall_us();
        let step_begin = mono_ns();
        touch(&mut team, &region, touched, step);
        let seconds = seconds_since(step_begin);
        touched += step;
        rates.push(step as f64 / seconds / 1e9);
        let done = touched as f64 / region.bytes() as f64;
        let remaining = seconds_since(begin) * (1.0 - done) / done;
        context
            .report
            .live(&capacity, touched as f64 / 1e9, remaining)?;
        let now = Room::read(root)?;
        let stalled = stalled_for(stalled, full_stall_us(), seconds);
        if touched < region.bytes()
            && let Some(reason) = plan.must_stop(&start, &now, stalled)
        {
            break reason;
        }
        if stalled && region.refuse_huge_pages() {
            let text = format!("from byte {touched} on: making huge pages stalled processes");
            context.report.note("small pages", text)?;
        }
    };
    context.report.note("stopped because", reason)?;

    context.report.phase(Phase::Verify)?;
    if let Some(segment) = segment {
        segment.barrier()?;
        segment.leave();
    }
    let checked = check(&mut team, &region, touched)?;
    let value = context.report.measurement(
        &capacity,
        &device,
        &[touched as f64 / 1e9],
        Verification::Checked(checked.clone()),
    )?;
    context.report.classic(&capacity, value)?;
    let rate = Metric {
        name: "main_memory-capacity-touch_rate".to_owned(),
        unit: Unit::GB_PER_S,
        better: Better::Higher,
        definition: "bytes of pages touched for the first time divided by the time of the slowest \
                     thread, for each step"
            .to_owned(),
    };
    context
        .report
        .measurement(&rate, &device, &rates, Verification::Checked(checked))?;
    Ok(())
}

fn capacity_metric() -> Metric {
    Metric {
        name: "main_memory-capacity".to_owned(),
        unit: Unit::GB,
        better: Better::Higher,
        definition: "bytes of the pages that this process allocated and wrote into, a declared \
                     reserve being left free"
            .to_owned(),
    }
}

/// How far to go, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    goal: u64,
    step: u64,
    reserve: u64,
    world: u64,
    asked_for: bool,
}

impl Plan {
    fn new(context: &Context<'_>, room: &Room) -> Result<Self, CaseError> {
        let bytes = context.params.integer("bytes", 1 << 20..=1 << 50)?;
        let reserve = context.params.integer("reserve", 0..=1 << 50)?;
        let (world, threads) = (u64::from(context.world), context.cpus.len() as u64);
        Self::within(room, bytes, reserve, world, threads).ok_or_else(|| {
            CaseError::Wrong(format!(
                "no room: {} bytes are free, of which the reserve takes {}",
                room.free(),
                reserve.unwrap_or_else(|| default_reserve(room.limit()))
            ))
        })
    }

    /// `None` if the reserve leaves less than a huge page for each thread and rank.
    fn within(
        room: &Room,
        bytes: Option<u64>,
        reserve: Option<u64>,
        world: u64,
        threads: u64,
    ) -> Option<Self> {
        let reserve = reserve.unwrap_or_else(|| default_reserve(room.limit()));
        let share = room.free().saturating_sub(reserve) / world;
        let grain = HUGE_PAGE as u64;
        let goal = share.min(bytes.unwrap_or(u64::MAX)) / grain * grain;
        let step = (goal / STEPS).min(LARGEST_STEP * threads) / grain * grain;
        (goal > 0).then_some(Self {
            goal,
            step: step.max(grain),
            reserve,
            world,
            asked_for: bytes.is_some_and(|bytes| bytes <= share),
        })
    }

    /// Why no further step may be made, if so.
    fn must_stop(&self, start: &Room, now: &Room, stalled: bool) -> Option<&'static str> {
        let after_next = now.free().saturating_sub(self.step * self.world);
        if after_next < self.reserve || now.free() < self.step * self.world {
            Some("free memory came down to the reserve")
        } else if now.swap_free + SWAP_NOISE < start.swap_free {
            Some("memory began to be swapped out")
        } else if stalled && after_next < 2 * self.reserve {
            Some("processes were stalled for memory near the reserve")
        } else {
            None
        }
    }
}

/// Whether the stalls between two readings, in microseconds, are too large a part of the seconds.
fn stalled_for(before: Option<u64>, after: Option<u64>, seconds: f64) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => {
            after.saturating_sub(before) as f64 / 1e6 > seconds * STALL_SHARE
        }
        _ => false,
    }
}

/// 5 % of the limit, at least [`LEAST_RESERVE`], but never more than a quarter of the limit: a small
/// control group has a capacity too.
fn default_reserve(limit: u64) -> u64 {
    (limit / 20).max(LEAST_RESERVE).min(limit / 4)
}

/// Maps the goal, or as much as the address space limit or a strict overcommit policy allows.
fn map(goal: u64) -> Result<Region, CaseError> {
    let mut bytes = goal as usize;
    loop {
        match Region::new(bytes) {
            Ok(region) => return Ok(region),
            Err(source) => {
                let less = bytes / 16 * 15 / HUGE_PAGE * HUGE_PAGE;
                if less == 0 || less == bytes {
                    return Err(CaseError::Memory { bytes, source });
                }
                bytes = less;
            }
        }
    }
}

/// Microseconds for which all runnable processes of the machine were stalled for memory; `None` if
/// the kernel does not count them.
fn full_stall_us() -> Option<u64> {
    full_total(&fs::read_to_string("/proc/pressure/memory").ok()?)
}

fn full_total(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("full "))?;
    line.split(' ')
        .find_map(|field| field.strip_prefix("total="))?
        .parse()
        .ok()
}

/// Writes the first and last word of each page of `from..from + bytes`, each thread a part.
fn touch(team: &mut Team, region: &Region, from: usize, bytes: usize) {
    let members = team.size();
    team.run(&|member| {
        for page in pages_of(from, bytes, member, members) {
            // SAFETY: the page lies inside the region, and no other thread has it.
            unsafe {
                let words = region.start().byte_add(page * PAGE).cast::<u64>();
                words.write(mark(page));
                words.add(PAGE / 8 - 1).write(!mark(page));
            }
        }
    });
}

/// The pages that a member has of a range of bytes.
fn pages_of(from: usize, bytes: usize, member: usize, members: usize) -> std::ops::Range<usize> {
    let (first, count) = (from / PAGE, bytes / PAGE);
    first + count * member / members..first + count * (member + 1) / members
}

/// A value that tells the page: its number times an odd constant (the golden ratio of 2^64), which
/// is different for each.
fn mark(page: usize) -> u64 {
    (page as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn check(team: &mut Team, region: &Region, touched: usize) -> Result<String, CaseError> {
    let pages = touched / PAGE;
    let stride = pages.div_ceil(PAGES_CHECKED).max(1);
    let members = team.size();
    let wrong = std::sync::atomic::AtomicUsize::new(usize::MAX);
    team.run(&|member| {
        let mine = pages_of(0, touched, member, members);
        let first = mine.start.next_multiple_of(stride);
        for page in (first..mine.end).step_by(stride) {
            // SAFETY: the page was written by `touch`, and nobody writes now.
            let (head, tail) = unsafe {
                let words = region.start().byte_add(page * PAGE).cast::<u64>();
                (words.read(), words.add(PAGE / 8 - 1).read())
            };
            if head != mark(page) || tail != !mark(page) {
                wrong.fetch_min(page, std::sync::atomic::Ordering::Relaxed);
            }
        }
    });
    match wrong.into_inner() {
        usize::MAX => Ok(format!(
            "first and last word of {} pages of 4 KiB, one in {stride}",
            pages.div_ceil(stride)
        )),
        page => Err(CaseError::Wrong(format!(
            "page {page} of {pages} does not hold what was written into it"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpus;
    use crate::room::Group;
    use proptest::prelude::*;

    const GIB: u64 = 1 << 30;

    fn room(available: u64, limit: Option<u64>) -> Room {
        Room {
            total: 64 * GIB,
            available,
            swap_free: GIB,
            groups: limit
                .map(|limit| Group {
                    path: "/group".into(),
                    limit,
                    used: 0,
                })
                .into_iter()
                .collect(),
        }
    }

    #[test]
    fn the_reserve_follows_the_lowest_limit() {
        assert_eq!(default_reserve(64 * GIB), 64 * GIB / 20);
        assert_eq!(default_reserve(8 * GIB), 512 << 20);
        assert_eq!(default_reserve(GIB), 256 << 20);
        let plan = Plan::within(&room(60 * GIB, Some(4 * GIB)), None, None, 1, 2).unwrap();
        assert_eq!(
            (plan.goal, plan.reserve),
            (4 * GIB - (512 << 20), 512 << 20)
        );
        assert!(Plan::within(&room(GIB, None), None, None, 1, 2).is_none());
    }

    #[test]
    fn it_stops_before_harm() {
        let start = room(60 * GIB, None);
        let plan = Plan::within(&start, None, Some(GIB), 1, 2).unwrap();
        // With plenty free, a stall is no reason to stop.
        for stalled in [false, true] {
            assert_eq!(plan.must_stop(&start, &start, stalled), None);
        }
        let tight = room(GIB + plan.step - 1, None);
        let reason = plan.must_stop(&start, &tight, false).unwrap();
        assert!(reason.starts_with("free memory"), "{reason}");
        let swapping = Room {
            swap_free: start.swap_free / 2,
            ..start.clone()
        };
        let reason = plan.must_stop(&start, &swapping, false).unwrap();
        assert!(reason.contains("swapped"), "{reason}");
        let near = room(2 * GIB + plan.step - 1, None);
        assert_eq!(plan.must_stop(&start, &near, false), None);
        let reason = plan.must_stop(&start, &near, true).unwrap();
        assert!(reason.contains("stalled"), "{reason}");
        assert!(stalled_for(Some(0), Some(300_000), 1.0));
        assert!(!stalled_for(Some(0), Some(100_000), 1.0));
        assert!(!stalled_for(None, Some(300_000), 1.0));
    }

    #[test]
    fn a_page_that_changed_is_found() {
        let mut team = Team::new(&cpus::allowed().unwrap()).unwrap();
        let region = Region::new(4 * HUGE_PAGE).unwrap();
        touch(&mut team, &region, 0, HUGE_PAGE);
        touch(&mut team, &region, HUGE_PAGE, 3 * HUGE_PAGE);
        assert!(check(&mut team, &region, 4 * HUGE_PAGE).is_ok());
        // SAFETY: the region has that page, and no thread works now.
        unsafe { region.start().byte_add(1500 * PAGE).cast::<u64>().write(0) };
        let error = check(&mut team, &region, 4 * HUGE_PAGE).unwrap_err();
        assert!(
            error.to_string().starts_with("page 1500 of 2048"),
            "{error}"
        );
    }

    #[test]
    fn pressure_as_the_kernel_writes_it() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=12\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(full_total(text), Some(7));
        assert_eq!(full_total("some total=1\n"), None);
    }

    proptest! {
        #[test]
        fn a_plan_never_eats_the_reserve(
            available in 0u64..1 << 42, limit in proptest::option::of(0u64..1 << 42),
            bytes in proptest::option::of(1u64 << 20..1 << 42),
            reserve in proptest::option::of(0u64..1 << 42),
            world in 1u64..9, threads in 1u64..300,
        ) {
            let room = room(available, limit);
            if let Some(plan) = Plan::within(&room, bytes, reserve, world, threads) {
                prop_assert!(plan.goal * world + plan.reserve <= room.free());
                prop_assert!(plan.step > 0 && plan.step <= plan.goal);
            }
        }

        #[test]
        fn no_pressure_text_makes_it_panic(text in ".*") {
            let _total = full_total(&text);
        }
    }
}
