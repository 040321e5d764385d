//! The distribution of a measurement over its repetitions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How repetitions of one measurement are distributed. All fields have the measurement's unit,
/// except `n` and `cv`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// Number of repetitions.
    pub n: u32,
    /// The middle value, or the mean of the two middle values.
    pub median: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Coefficient of variation: sample standard deviation (n - 1) divided by the mean; 0 for n < 2.
    pub cv: f64,
    /// 95 % percentile-bootstrap interval of the median: lower and upper end. Absent for fewer than
    /// six repetitions: even from the smallest to the largest of five, an interval covers the
    /// median of their distribution with a probability of only 1 - 2 / 2^5 = 94 %.
    pub ci95: Option<[f64; 2]>,
}

/// Resamples drawn for the bootstrap interval. Efron and Tibshirani, "An Introduction to the
/// Bootstrap" (1993), section 13.3, ask for at least 1000 for an interval.
const RESAMPLES: usize = 2000;

/// Fewest repetitions for which there is an interval, see [`Spread::ci95`].
const FEWEST_FOR_INTERVAL: usize = 6;

/// At most this many repetitions enter the bootstrap; more are thinned evenly, which leaves the
/// quantiles of the distribution as they are and bounds the time to a few milliseconds.
const BOOTSTRAP_SIZE: usize = 1000;

impl Spread {
    /// Summarises repetitions. `None` for an empty slice or if any value is not finite.
    ///
    /// The bootstrap's random numbers come from a fixed seed: the same repetitions always give the
    /// same interval.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() || values.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let mean = sorted.iter().sum::<f64>() / n as f64;
        let cv = if n < 2 || mean == 0.0 {
            0.0
        } else {
            let squares: f64 = sorted.iter().map(|v| (v - mean).powi(2)).sum();
            (squares / (n - 1) as f64).sqrt() / mean.abs()
        };
        Some(Self {
            n: n as u32,
            median: median_of_sorted(&sorted),
            min: sorted[0],
            max: sorted[n - 1],
            mean,
            cv,
            ci95: (n >= FEWEST_FOR_INTERVAL).then(|| bootstrap_median(&sorted)),
        })
    }
}

/// The middle value, or the mean of the two middle values; `None` for an empty slice.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (!sorted.is_empty()).then(|| median_of_sorted(&sorted))
}

fn median_of_sorted(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

fn bootstrap_median(sorted: &[f64]) -> [f64; 2] {
    let thinned: Vec<f64>;
    let sample = if sorted.len() > BOOTSTRAP_SIZE {
        let step = sorted.len() as f64 / BOOTSTRAP_SIZE as f64;
        thinned = (0..BOOTSTRAP_SIZE)
            .map(|i| sorted[((i as f64 + 0.5) * step) as usize])
            .collect();
        &thinned[..]
    } else {
        sorted
    };
    let n = sample.len();
    // The sample is sorted, so a resample is a count per index and its median is found by walking
    // the counts: no sorting inside the loop.
    let mut random = SplitMix(0x5eed_f1a9_9e2f_2026);
    let mut counts = vec![0u32; n];
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            counts.fill(0);
            for _ in 0..n {
                counts[random.below(n)] += 1;
            }
            f64::midpoint(
                nth(sample, &counts, (n - 1) / 2),
                nth(sample, &counts, n / 2),
            )
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    let at = |q: f64| medians[((RESAMPLES - 1) as f64 * q).round() as usize];
    [at(0.025), at(0.975)]
}

fn nth(sample: &[f64], counts: &[u32], wanted: usize) -> f64 {
    let mut seen = 0usize;
    for (value, count) in sample.iter().zip(counts) {
        seen += *count as usize;
        if seen > wanted {
            return *value;
        }
    }
    sample[sample.len() - 1]
}

/// The `SplitMix64` generator (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number
/// Generators", 2014): small, good enough to draw indices.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(
            (spread.n, spread.median, spread.min, spread.max),
            (4, 2.5, 1.0, 4.0)
        );
        // Sample standard deviation of 1..4 is sqrt(5/3).
        assert!((spread.cv - (5.0f64 / 3.0).sqrt() / 2.5).abs() < 1e-12);
        assert!(Spread::of(&[]).is_none());
        assert!(Spread::of(&[1.0, f64::NAN]).is_none());
        assert_eq!(Spread::of(&[7.0; 5]).unwrap().ci95, None);
        assert_eq!(Spread::of(&[7.0; 6]).unwrap().ci95, Some([7.0, 7.0]));
    }

    #[test]
    fn the_interval_covers_the_true_median_about_95_times_in_100() {
        let mut random = SplitMix(7);
        let covered = (0..400)
            .filter(|_| {
                let draws: Vec<f64> = (0..31)
                    .map(|_| random.below(1 << 30) as f64 / f64::from(1 << 30))
                    .collect();
                let [low, high] = Spread::of(&draws).unwrap().ci95.unwrap();
                low <= 0.5 && 0.5 <= high
            })
            .count();
        assert!((360..=396).contains(&covered), "{covered} of 400");
    }

    proptest! {
        #[test]
        fn order_of_the_parts(values in prop::collection::vec(0.1f64..1e6, 1..200)) {
            let s = Spread::of(&values).unwrap();
            if let Some([low, high]) = s.ci95 {
                prop_assert!(s.min <= low && low <= high && high <= s.max);
            }
            prop_assert!(s.min <= s.median && s.median <= s.max && s.cv >= 0.0);
        }
    }
}
