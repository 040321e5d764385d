//! Vectors whose sums are known: what each rank contributes, how it is added, how ranges are cut.
//!
//! The terms are small whole numbers, so that `f32` holds every sum exactly, in whatever order the
//! ranks are added.

use std::ops::Range;

/// Elements of a cache line; ranges are cut there, so that no two threads write the same line.
const LINE: usize = 16;

/// Values repeat after so many elements. It is a prime, so that an element that lands in a wrong
/// line, page or part is noticed, and sums over 16 thousand ranks still fit into the 24 bits of an
/// `f32`.
pub(crate) const PERIOD: usize = 1021;

/// One element in so many is compared after each repetition.
pub(crate) const SAMPLE: usize = 61;

/// Part `index` of `count` of a range, cut at cache lines.
pub(crate) fn part(range: Range<usize>, index: usize, count: usize) -> Range<usize> {
    let lines = range.len().div_ceil(LINE);
    let cut = |index: usize| (range.start + lines * index / count * LINE).min(range.end);
    cut(index)..cut(index + 1)
}

/// What rank `rank` contributes to element `i`.
pub(crate) fn term(rank: u32, i: usize, repetition: u64) -> f32 {
    // The period must hold for every rank and repetition, so everything enters before the modulus.
    let mixed = (i % PERIOD) as u64 * 7 + u64::from(rank) * 131 + repetition % PERIOD as u64 * 17;
    (mixed % PERIOD as u64) as f32
}

/// The sums of the first [`PERIOD`] elements over `world` ranks; they repeat from there on.
pub(crate) fn expected(world: u32, repetition: u64) -> Vec<f32> {
    (0..PERIOD)
        .map(|i| (0..world).map(|rank| term(rank, i, repetition)).sum())
        .collect()
}

/// Adds the second slice to the first.
pub(crate) type Adder = unsafe fn(&mut [f32], &[f32]);

/// The adder with the longest vectors that this processor has.
pub(crate) fn adder() -> Adder {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512f") {
            return add_avx512;
        }
        if std::is_x86_feature_detected!("avx2") {
            return add_avx2;
        }
    }
    add
}

#[inline]
fn add(sum: &mut [f32], more: &[f32]) {
    sum.iter_mut()
        .zip(more)
        .for_each(|(sum, more)| *sum += more);
}

/// # Safety
///
/// The processor has AVX-512F.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn add_avx512(sum: &mut [f32], more: &[f32]) {
    add(sum, more);
}

/// # Safety
///
/// The processor has AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn add_avx2(sum: &mut [f32], more: &[f32]) {
    add(sum, more);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_cover_a_range_and_meet_at_lines(
            start in 0usize..50, length in 0usize..5000, count in 1usize..40
        ) {
            let range = start * LINE..start * LINE + length;
            let mut next = range.start;
            for index in 0..count {
                let part = part(range.clone(), index, count);
                prop_assert_eq!(part.start, next);
                prop_assert!(part.start.is_multiple_of(LINE) || part.is_empty());
                next = part.end;
            }
            prop_assert_eq!(next, range.end);
        }

        #[test]
        fn terms_are_small_whole_numbers_with_a_period(
            rank in 0u32..1000, i in 0usize..1 << 40, repetition: u64
        ) {
            let value = term(rank, i, repetition);
            prop_assert!(value >= 0.0 && value < PERIOD as f32 && value.fract() == 0.0);
            prop_assert_eq!(value, term(rank, i + PERIOD, repetition));
            prop_assert!(value != term(rank, i + 1, repetition));
            prop_assert!(value != term(rank + 1, i, repetition));
        }
    }
}
