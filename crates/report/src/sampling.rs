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
    let mut open: Option<Bucket> = None;
    let mut gap = false;
    for piece in pieces {
        let Some(piece) = piece else {
            gap = true;
            continue;
        };
        let place = bucket_of(piece);
        match &mut open {
            Some(bucket) if bucket.place == place => bucket.add(*piece, gap),
            _ => {
                let before = open.replace(Bucket::new(place, *piece));
                if let Some(bucket) = before {
                    let broken = gap || bucket.broken;
                    out.extend(bucket.ends().into_iter().map(Some));
                    out.extend(broken.then_some(None));
                }
            }
        }
        gap = false;
    }
    // There is nothing behind the last stretch, so a gap inside it stands between its points.
    if let Some(bucket) = open {
        match bucket.ends().as_slice() {
            [first, ..] if bucket.broken => {
                let last = bucket.last_extreme();
                out.extend([Some(*first), None, Some(last)]);
            }
            ends => out.extend(ends.iter().copied().map(Some)),
        }
    }
    out
}

/// What is kept of a stretch of time.
struct Bucket {
    place: usize,
    low: Piece,
    high: Piece,
    last: Piece,
    /// True if a gap lies between two of its pieces.
    broken: bool,
}

impl Bucket {
    fn new(place: usize, piece: Piece) -> Self {
        Self {
            place,
            low: piece,
            high: piece,
            last: piece,
            broken: false,
        }
    }

    fn add(&mut self, piece: Piece, after_gap: bool) {
        if piece.value < self.low.value {
            self.low = piece;
        }
        if piece.value > self.high.value {
            self.high = piece;
        }
        self.last = piece;
        self.broken |= after_gap;
    }

    /// The extremes in the order they came; one if they are the same.
    fn ends(&self) -> Vec<Piece> {
        match self.low.begin.cmp(&self.high.begin) {
            std::cmp::Ordering::Less => vec![self.low, self.high],
            std::cmp::Ordering::Equal => vec![self.low],
            std::cmp::Ordering::Greater => vec![self.high, self.low],
        }
    }

    /// The later extreme, or the last piece if all values are the same.
    fn last_extreme(&self) -> Piece {
        match self.ends().as_slice() {
            [_, later] => *later,
            _ => self.last,
        }
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
            values in prop::collection::vec(prop::option::weighted(0.9, -1e6f64..1e6), 0..200),
            buckets in 1usize..60,
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
