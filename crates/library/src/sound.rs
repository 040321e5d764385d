//! Whether the numbers of a measurement agree with one another, and what is done where they do not.
//!
//! A case may be any program. Its value is its own affair; but a spread that cannot be one, or that
//! contradicts the repetitions beside it, would be drawn and compared as if it were true.

use flagperf_model::{Measurement, Spread, median};

/// Relative difference below which two figures count as the same. Programs print decimals: six
/// digits are usual, and a sum over repetitions may be formed in another order.
const SAME: f64 = 1e-5;

/// Fewest repetitions for which there is an interval of the median, see [`Spread::ci95`].
const FEWEST_FOR_INTERVAL: u32 = 6;

/// Mends what can be mended of a measurement. The texts say what was mended.
///
/// # Errors
///
/// In words, why there is no measurement at all.
pub(crate) fn mend(number: &mut Measurement) -> Result<Vec<String>, String> {
    let metric = &number.metric;
    if !number.value.is_finite() {
        return Err(format!(
            "the value of `{metric}` is {}, which is no number; it is left out",
            number.value
        ));
    }
    let mut mended = Vec::new();
    if number.repetitions.iter().any(|value| !value.is_finite()) {
        mended.push(format!(
            "the repetitions of `{metric}` are not all numbers; they are left out"
        ));
        number.repetitions.clear();
    }
    let Some(spread) = &number.spread else {
        return Ok(mended);
    };
    let problem = if !is_spread(spread) {
        "cannot be one"
    } else if !fits(spread, &number.repetitions) {
        "does not fit its repetitions"
    } else {
        return Ok(mended);
    };
    number.spread = Spread::of(&number.repetitions);
    let done = if number.spread.is_some() {
        "it is computed anew from the repetitions"
    } else {
        "it is left out"
    };
    mended.push(format!("the spread of `{metric}` {problem}; {done}"));
    Ok(mended)
}

/// True if some repetitions may have this spread.
fn is_spread(spread: &Spread) -> bool {
    let Spread {
        n,
        median,
        min,
        max,
        mean,
        cv,
        ci95,
    } = *spread;
    let finite = [median, min, max, mean, cv].iter().all(|v| v.is_finite());
    // A mean of equal values may be rounded past them.
    let slack = SAME * min.abs().max(max.abs());
    let interval = ci95.is_none_or(|[low, high]| {
        n >= FEWEST_FOR_INTERVAL && min - slack <= low && low <= high && high <= max + slack
    });
    finite
        && n >= 1
        && min <= median
        && median <= max
        && min - slack <= mean
        && mean <= max + slack
        && cv >= 0.0
        && interval
}

/// True if the repetitions, all of them or an even selection, may have this spread. The interval is
/// not compared: other random numbers give another one.
fn fits(spread: &Spread, repetitions: &[f64]) -> bool {
    let Some(middle) = median(repetitions) else {
        return true;
    };
    let least = repetitions.iter().copied().fold(f64::INFINITY, f64::min);
    let most = repetitions
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max);
    let scale = spread.min.abs().max(spread.max.abs());
    let same = |a: f64, b: f64| (a - b).abs() <= SAME * scale;
    let listed = repetitions.len();
    if spread.n as usize > listed {
        let slack = SAME * scale;
        return spread.min - slack <= least && most <= spread.max + slack;
    }
    let mean = repetitions.iter().sum::<f64>() / listed as f64;
    let squares: f64 = repetitions.iter().map(|v| (v - mean).powi(2)).sum();
    let deviation = if listed < 2 {
        0.0
    } else {
        (squares / (listed - 1) as f64).sqrt()
    };
    spread.n as usize == listed
        && same(spread.min, least)
        && same(spread.max, most)
        && same(spread.median, middle)
        && same(spread.mean, mean)
        // A relative figure next to a mean near nothing says nothing, see [`Spread::of`].
        && (mean == 0.0 || same(spread.cv * mean.abs(), deviation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flagperf_model::{Better, MetricName, Unit, Verification};
    use proptest::prelude::*;

    fn number(value: f64, spread: Option<Spread>, repetitions: &[f64]) -> Measurement {
        Measurement {
            metric: MetricName::new("m").unwrap(),
            printed: None,
            value,
            unit: Unit::GB,
            better: Better::Higher,
            definition: String::new(),
            rank: None,
            device: None,
            spread,
            repetitions: repetitions.to_vec(),
            verification: Verification::Unchecked(String::new()),
        }
    }

    const SIX: [f64; 6] = [3.0, 1.0, 2.0, 5.0, 4.0, 6.0];

    #[test]
    fn what_is_no_number_is_left_out() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let problem = mend(&mut number(value, None, &[])).unwrap_err();
            assert!(problem.contains("which is no number"), "{problem}");
            let mut odd = number(1.0, Spread::of(&[1.0]), &[1.0, value]);
            assert_eq!(
                mend(&mut odd).unwrap(),
                ["the repetitions of `m` are not all numbers; they are left out"]
            );
            assert_eq!((odd.repetitions.len(), odd.spread), (0, Spread::of(&[1.0])));
        }
    }

    #[test]
    fn a_spread_that_cannot_be_one_is_computed_anew_or_left_out() {
        let good = Spread::of(&SIX).unwrap();
        let bad = [
            Spread { n: 0, ..good },
            Spread { min: 4.0, ..good },
            Spread { max: 3.0, ..good },
            Spread {
                median: 7.0,
                ..good
            },
            Spread { mean: 7.0, ..good },
            Spread { cv: -0.1, ..good },
            Spread {
                cv: f64::NAN,
                ..good
            },
            Spread {
                max: f64::INFINITY,
                ..good
            },
            Spread {
                ci95: Some([4.0, 3.0]),
                ..good
            },
            Spread {
                ci95: Some([0.0, 3.0]),
                ..good
            },
            Spread {
                ci95: Some([3.0, f64::NAN]),
                ..good
            },
            Spread { n: 5, ..good },
        ];
        for spread in bad {
            let mut with = number(3.5, Some(spread), &SIX);
            assert_eq!(
                mend(&mut with).unwrap(),
                ["the spread of `m` cannot be one; it is computed anew from the repetitions"],
                "{spread:?}"
            );
            assert_eq!(with.spread, Some(good));
            let mut without = number(3.5, Some(spread), &[]);
            assert_eq!(
                mend(&mut without).unwrap(),
                ["the spread of `m` cannot be one; it is left out"]
            );
            assert_eq!(without.spread, None);
        }
    }

    #[test]
    fn a_spread_of_other_repetitions_is_computed_anew() {
        let good = Spread::of(&SIX).unwrap();
        let bad = [
            Spread { min: 0.5, ..good },
            Spread { max: 6.5, ..good },
            Spread {
                median: 4.0,
                ..good
            },
            Spread { mean: 3.0, ..good },
            Spread { cv: 0.1, ..good },
            // The repetitions are an even selection of more, but lie outside.
            Spread {
                n: 7,
                min: 2.0,
                ci95: None,
                ..good
            },
        ];
        for spread in bad {
            let mut with = number(3.5, Some(spread), &SIX);
            assert_eq!(
                mend(&mut with).unwrap(),
                [
                    "the spread of `m` does not fit its repetitions; it is computed anew from the repetitions"
                ],
                "{spread:?}"
            );
            assert_eq!(with.spread, Some(good));
        }
    }

    proptest! {
        #[test]
        fn true_spreads_stay(
            values in prop::collection::vec(-1e6f64..1e6, 1..100),
            step in 1_usize..4,
        ) {
            let spread = Spread::of(&values);
            let listed: Vec<f64> = values.iter().copied().step_by(step).collect();
            let mut whole = number(1.0, spread, &listed);
            prop_assert_eq!(mend(&mut whole), Ok(Vec::new()));
            prop_assert_eq!(whole.spread, spread);
        }
    }
}
