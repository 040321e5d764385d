//! Statistics of a monitor's series over the measured window.

use flagperf_model::{SeriesDecl, SeriesKind, Timestamp, Window};

use crate::sampling::Piece;

/// One column of samples with its meaning.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// What it is.
    pub decl: &'a SeriesDecl,
    /// The moments, rising.
    pub times: &'a [Timestamp],
    /// The stored whole numbers; `None` is a gap.
    pub column: &'a [Option<i64>],
}

/// Statistics of a series. A gauge has the unit of its declaration, a counter that unit a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stats {
    /// Arithmetic mean; of a counter, weighted by time, which makes it the total growth over the
    /// total time.
    pub mean: f64,
    /// Largest.
    pub max: f64,
    /// Smallest.
    pub min: f64,
    /// Population standard deviation, weighted as the mean is.
    pub std: f64,
    /// Samples of a gauge or intervals of a counter that were counted.
    pub n: usize,
}

impl Series<'_> {
    /// The series as values over time: a gauge's samples, or a counter's rates over the intervals
    /// between successive samples. `None` stands for a gap: a sample that is absent, or a counter
    /// that ran backwards because it was reset.
    pub fn pieces(&self) -> Vec<Option<Piece>> {
        let resolution = self.decl.resolution;
        match self.decl.kind {
            SeriesKind::Gauge => self
                .times
                .iter()
                .zip(self.column)
                .map(|(at, value)| {
                    value.map(|value| Piece {
                        begin: *at,
                        end: *at,
                        value: value as f64 * resolution,
                    })
                })
                .collect(),
            SeriesKind::Counter => {
                let samples: Vec<_> = self.times.iter().zip(self.column).collect();
                samples
                    .windows(2)
                    .map(|pair| {
                        let (begin, end) = (*pair[0].0, *pair[1].0);
                        let (first, last) = ((*pair[0].1)?, (*pair[1].1)?);
                        let seconds = end.seconds_since(begin);
                        (seconds > 0.0 && last >= first).then(|| Piece {
                            begin,
                            end,
                            // The difference of whole numbers is exact; that of two large
                            // floating point numbers is not.
                            value: (i128::from(last) - i128::from(first)) as f64 * resolution
                                / seconds,
                        })
                    })
                    .collect()
            }
        }
    }
}

/// Statistics of the part of a series that lies inside the window, of the whole series without a
/// window. Of a gauge the samples from the first to the last moment of the window count; of a
/// counter every interval that overlaps the window counts with the time by which it does.
///
/// `None` when nothing lies inside: absent is not zero.
pub fn window_stats(series: &Series<'_>, window: Option<Window>) -> Option<Stats> {
    let weighted: Vec<(f64, f64)> = series
        .pieces()
        .into_iter()
        .flatten()
        .filter_map(|piece| Some((piece.value, weight(series.decl.kind, piece, window)?)))
        .collect();
    let total: f64 = weighted.iter().map(|(_, weight)| weight).sum();
    let (first, _) = *weighted.first()?;
    if total <= 0.0 {
        return None;
    }
    // Deviations are taken from the first value, so that a small variation of a large number
    // keeps its digits.
    let shift = weighted.iter().map(|(v, w)| (v - first) * w).sum::<f64>() / total;
    let mean = first + shift;
    let variance = weighted
        .iter()
        .map(|(v, w)| (v - mean).powi(2) * w)
        .sum::<f64>()
        / total;
    let min = weighted.iter().map(|(v, _)| *v).fold(first, f64::min);
    let max = weighted.iter().map(|(v, _)| *v).fold(first, f64::max);
    Some(Stats {
        // Rounding must not put the mean outside of what was measured.
        mean: mean.clamp(min, max),
        max,
        min,
        std: variance.sqrt(),
        n: weighted.len(),
    })
}

fn weight(kind: SeriesKind, piece: Piece, window: Option<Window>) -> Option<f64> {
    match (kind, window) {
        (SeriesKind::Gauge, None) => Some(1.0),
        (SeriesKind::Gauge, Some(window)) => {
            (window.begin <= piece.begin && piece.begin <= window.end).then_some(1.0)
        }
        (SeriesKind::Counter, None) => Some(piece.end.seconds_since(piece.begin)),
        (SeriesKind::Counter, Some(window)) => {
            let overlap = piece
                .end
                .min(window.end)
                .seconds_since(piece.begin.max(window.begin));
            (overlap > 0.0).then_some(overlap)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flagperf_model::{Scope, Unit};
    use proptest::prelude::*;

    fn decl(kind: SeriesKind, resolution: f64) -> SeriesDecl {
        SeriesDecl {
            name: "x.y".into(),
            instance: None,
            unit: Unit::SECONDS,
            kind,
            scope: Scope::Machine,
            resolution,
        }
    }

    fn seconds(values: &[i64]) -> Vec<Timestamp> {
        values
            .iter()
            .map(|s| Timestamp(s * 1_000_000_000))
            .collect()
    }

    fn window(begin: f64, end: f64) -> Window {
        Window {
            begin: Timestamp((begin * 1e9) as i64),
            end: Timestamp((end * 1e9) as i64),
        }
    }

    #[test]
    fn a_gauge_counts_samples_inside_both_ends_included() {
        let decl = decl(SeriesKind::Gauge, 0.5);
        let series = Series {
            decl: &decl,
            times: &seconds(&[0, 1, 2, 3, 4]),
            column: &[Some(100), Some(2), None, Some(6), Some(100)],
        };
        let stats = window_stats(&series, Some(window(1.0, 3.0))).unwrap();
        assert_eq!(
            stats,
            Stats {
                mean: 2.0,
                max: 3.0,
                min: 1.0,
                std: 1.0,
                n: 2
            }
        );
        assert_eq!(window_stats(&series, Some(window(1.2, 1.8))), None);
        assert_eq!(
            window_stats(&series, Some(window(1.5, 2.5))),
            None,
            "only a gap"
        );
        assert_eq!(window_stats(&series, None).unwrap().n, 4);
    }

    #[test]
    fn a_counter_weighs_rates_by_the_time_inside() {
        let decl = decl(SeriesKind::Counter, 0.1);
        // Rates 1, 3, gap (reset), 2 a second.
        let series = Series {
            decl: &decl,
            times: &seconds(&[0, 1, 3, 4, 5]),
            column: &[Some(0), Some(10), Some(70), Some(0), Some(20)],
        };
        let rates: Vec<_> = series.pieces().iter().map(|p| p.map(|p| p.value)).collect();
        assert_eq!(rates, [Some(1.0), Some(3.0), None, Some(2.0)]);
        // Half a second of rate 1, one and a half of rate 3.
        let stats = window_stats(&series, Some(window(0.5, 2.5))).unwrap();
        assert!((stats.mean - 2.5).abs() < 1e-12);
        assert!((stats.std - 0.75f64.sqrt()).abs() < 1e-12);
        assert_eq!((stats.min, stats.max, stats.n), (1.0, 3.0, 2));
        assert_eq!(window_stats(&series, Some(window(3.2, 3.8))), None);
        assert_eq!(window_stats(&series, Some(window(7.0, 8.0))), None);
    }

    #[test]
    fn no_samples_give_no_statistics() {
        for kind in [SeriesKind::Gauge, SeriesKind::Counter] {
            let decl = decl(kind, 1.0);
            let series = Series {
                decl: &decl,
                times: &[],
                column: &[],
            };
            assert_eq!(window_stats(&series, None), None);
        }
    }

    proptest! {
        #[test]
        fn statistics_stay_within_bounds(
            samples in prop::collection::vec((1i64..5_000, prop::option::weighted(0.9, -1_000_000i64..1_000_000)), 0..200),
            counter in any::<bool>(),
            ends in (0.0f64..400.0, 0.0f64..400.0),
        ) {
            let kind = if counter { SeriesKind::Counter } else { SeriesKind::Gauge };
            let decl = decl(kind, 0.01);
            let mut at = 0;
            let times: Vec<_> = samples.iter().map(|(step, _)| { at += step * 1_000_000; Timestamp(at) }).collect();
            let column: Vec<_> = samples.iter().map(|(_, value)| *value).collect();
            let series = Series { decl: &decl, times: &times, column: &column };
            let window = Some(window(ends.0.min(ends.1), ends.0.max(ends.1)));
            if let Some(stats) = window_stats(&series, window) {
                prop_assert!(stats.min <= stats.mean && stats.mean <= stats.max);
                // Popoviciu: the deviation is at most half the range.
                prop_assert!(stats.std >= 0.0 && stats.std <= (stats.max - stats.min) / 2.0 * (1.0 + 1e-9) + 1e-9);
                prop_assert!(stats.n > 0);
            }
        }

        #[test]
        fn the_mean_rate_of_a_whole_counter_is_its_growth_over_its_time(
            steps in prop::collection::vec((1i64..5_000, 0i64..1_000_000), 1..100),
        ) {
            let decl = decl(SeriesKind::Counter, 1.0);
            let (mut at, mut total) = (0, 0);
            let mut times = vec![Timestamp(0)];
            let mut column = vec![Some(0)];
            for (step, growth) in &steps {
                at += step * 1_000_000;
                total += growth;
                times.push(Timestamp(at));
                column.push(Some(total));
            }
            let series = Series { decl: &decl, times: &times, column: &column };
            let expected = total as f64 / (at as f64 / 1e9);
            let mean = window_stats(&series, None).unwrap().mean;
            prop_assert!((mean - expected).abs() <= expected * 1e-9);
        }
    }
}
