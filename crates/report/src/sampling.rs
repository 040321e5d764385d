//! Fewer points for a picture, without losing what the eye looks for.

use flagperf_model::Timestamp;

/// A value of a series: of one moment (a gauge) or of an interval (a counter's rate).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Piece {
    /// First moment.
    pub begin: Timestamp,
    /// Last moment; the same as `begin` for a gauge.
    pub end: Timestamp,
    /// The value.
    pub value: f64,
}

impl Piece {
    /// The middle of its time.
    pub fn middle(&self) -> Timestamp {
        Timestamp(self.begin.0 + (self.end.0 - self.begin.0) / 2)
    }
}

/// Thins pieces to at most two for each of `buckets` equal stretches of time: the smallest and the
/// largest, in the order they came. Peaks and troughs survive. A gap (`None`) inside or at the end
/// of a stretch is kept as one gap behind it, so a break in the line stays visible.
///
/// Pieces that are few enough come back as they are.
pub fn downsample(pieces: &[Option<Piece>], buckets: usize) -> Vec<Option<Piece>> {
    let mut known = pieces.iter().flatten();
    let (Some(first), Some(last)) = (known.next(), pieces.iter().rev().flatten().next()) else {
        return Vec::new();
    };
    if pieces.len() <= buckets * 2 || buckets == 0 {
        return pieces.to_vec();
    }
    let begin = i128::from(first.middle().0);
    let length = (i128::from(last.middle().0) - begin).max(1);
    let bucket_of = |piece: &Piece| {
        let place = (i128::from(piece.middle().0) - begin) * buckets as i128 / length;
        usize::try_from(place.max(0)).map_or(0, |place| place.min(buckets - 1))
    };

    let mut out = Vec::with_capacity(buckets * 2);
    let mut open: Option<(usize, Piece, Piece)> = None;
    let mut gap = false;
    for piece in pieces {
        let Some(piece) = piece else {
            gap = true;
            continue;
        };
        let bucket = bucket_of(piece);
        match &mut open {
            Some((current, low, high)) if *current == bucket => {
                if piece.value < low.value {
                    *low = *piece;
                }
                if piece.value > high.value {
                    *high = *piece;
                }
            }
            _ => {
                // A gap seen so far lies in the stretch that ends here or between the two.
                close(&mut out, open.replace((bucket, *piece, *piece)), gap);
                gap = false;
            }
        }
    }
    close(&mut out, open, false);
    out
}

fn close(out: &mut Vec<Option<Piece>>, bucket: Option<(usize, Piece, Piece)>, gap: bool) {
    let Some((_, low, high)) = bucket else {
        return;
    };
    if low == high {
        out.push(Some(low));
    } else if low.begin <= high.begin {
        out.extend([Some(low), Some(high)]);
    } else {
        out.extend([Some(high), Some(low)]);
    }
    if gap {
        out.push(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gauge(values: &[Option<f64>]) -> Vec<Option<Piece>> {
        values
            .iter()
            .enumerate()
            .map(|(i, value)| {
                value.map(|value| Piece {
                    begin: Timestamp(i as i64 * 1_000),
                    end: Timestamp(i as i64 * 1_000),
                    value,
                })
            })
            .collect()
    }

    #[test]
    fn few_points_stay_and_none_give_none() {
        let few = gauge(&[Some(1.0), None, Some(2.0)]);
        assert_eq!(downsample(&few, 2), few);
        assert!(downsample(&gauge(&[None, None, None]), 1).is_empty());
        assert!(downsample(&[], 3).is_empty());
    }

    #[test]
    fn a_short_gap_still_breaks_the_line() {
        let mut values = vec![Some(1.0); 100];
        values[50] = None;
        let thin = downsample(&gauge(&values), 10);
        assert_eq!(thin.iter().filter(|p| p.is_none()).count(), 1);
    }

    proptest! {
        #[test]
        fn extremes_order_and_bounds(
            values in prop::collection::vec(prop::option::weighted(0.9, -1e6f64..1e6), 0..500),
            buckets in 1usize..80,
        ) {
            let pieces = gauge(&values);
            let thin = downsample(&pieces, buckets);
            let known: Vec<_> = thin.iter().flatten().collect();
            if pieces.len() > buckets * 2 {
                prop_assert!(known.len() <= buckets * 2);
                prop_assert!(thin.len() <= buckets * 3);
            }
            prop_assert!(known.windows(2).all(|w| w[0].begin < w[1].begin));
            prop_assert!(known.iter().all(|p| pieces.contains(&Some(**p))));
            let extremes = |all: &[Option<Piece>]| {
                let mut v: Vec<f64> = all.iter().flatten().map(|p| p.value).collect();
                v.sort_by(f64::total_cmp);
                (v.first().copied(), v.last().copied())
            };
            prop_assert_eq!(extremes(&pieces), extremes(&thin));
            let inner_gap = |all: &[Option<Piece>]| {
                let from = all.iter().position(Option::is_some).unwrap_or(0);
                let to = all.iter().rposition(Option::is_some).unwrap_or(0);
                all.get(from..to).is_some_and(|all| all.iter().any(Option::is_none))
            };
            prop_assert_eq!(inner_gap(&pieces), inner_gap(&thin));
        }
    }
}
