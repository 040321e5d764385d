//! What a case prints: records of the model behind their prefix, and FlagPerf's classic lines.

use std::io::{self, Write};

use flagperf_model::{
    Better, CaseRecord, Measurement, MetricName, Phase, RECORD_PREFIX, RESULT_PREFIX, Spread, Unit,
    Verification,
};

use crate::clock::mono_ns;

/// Least time between two live values, in nanoseconds.
const LIVE_INTERVAL_NS: u64 = 250_000_000;

/// Most repetitions that a measurement lists; more are thinned evenly. Its spread is of all.
const REPETITIONS_LISTED: usize = 2000;

/// What is true of a metric before it is measured.
#[derive(Debug, Clone)]
pub(crate) struct Metric {
    /// Its name, valid as a [`MetricName`].
    pub(crate) name: String,
    /// Its unit.
    pub(crate) unit: Unit,
    /// Which way it is better.
    pub(crate) better: Better,
    /// What was counted, in one sentence.
    pub(crate) definition: String,
}

/// Why a measurement could not be reported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    /// The output is gone.
    #[error("output cannot be written")]
    Output(#[from] io::Error),
    /// There is no number to report.
    #[error("`{metric}` has no finite value")]
    NoValue {
        /// The metric.
        metric: String,
    },
    /// The name breaks the rules of names.
    #[error("metric cannot be named")]
    Name(#[from] flagperf_model::NameError),
    /// A record cannot be written as JSON.
    #[error("record cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// Writes one rank's lines; each is flushed, so that a reader sees it at once.
pub(crate) struct Reporter<'a> {
    out: &'a mut dyn Write,
    rank: u32,
    last_live_ns: u64,
}

impl<'a> Reporter<'a> {
    /// A reporter for `rank`.
    pub(crate) fn new(out: &'a mut dyn Write, rank: u32) -> Self {
        Self {
            out,
            rank,
            last_live_ns: 0,
        }
    }

    /// The same reporter for a shorter time.
    pub(crate) fn reborrow(&mut self) -> Reporter<'_> {
        Reporter {
            out: &mut *self.out,
            rank: self.rank,
            last_live_ns: self.last_live_ns,
        }
    }

    /// The case enters a phase.
    pub(crate) fn phase(&mut self, phase: Phase) -> Result<(), ReportError> {
        self.record(&CaseRecord::Phase {
            rank: self.rank,
            phase,
            mono_ns: mono_ns(),
        })
    }

    /// A fact worth keeping.
    pub(crate) fn note(&mut self, key: &str, value: impl Into<String>) -> Result<(), ReportError> {
        self.record(&CaseRecord::Note {
            rank: self.rank,
            key: key.to_owned(),
            value: value.into(),
        })
    }

    /// True when the last live value is old enough for another.
    pub(crate) fn live_is_due(&self) -> bool {
        mono_ns().saturating_sub(self.last_live_ns) >= LIVE_INTERVAL_NS
    }

    /// The value so far; dropped if the last one is younger than a quarter of a second.
    pub(crate) fn live(
        &mut self,
        metric: &Metric,
        value: f64,
        remaining_s: f64,
    ) -> Result<(), ReportError> {
        // JSON has no infinity, and a value that is none says nothing to a watcher.
        if !value.is_finite() || !self.live_is_due() {
            return Ok(());
        }
        self.last_live_ns = mono_ns();
        self.record(&CaseRecord::Live {
            rank: self.rank,
            metric: MetricName::new(metric.name.as_str())?,
            value,
            unit: metric.unit.clone(),
            remaining_s: remaining_s.max(0.0),
        })
    }

    /// A final number: the median of `values`, its spread, the values themselves.
    pub(crate) fn measurement(
        &mut self,
        metric: &Metric,
        device: &str,
        values: &[f64],
        verification: Verification,
    ) -> Result<f64, ReportError> {
        self.number(metric, device, values, verification, |spread| spread.median)
    }

    /// Final numbers of one device, as [`measurement`](Self::measurement) reports each. The first
    /// stands for the case and has its classic line too.
    pub(crate) fn figures<'m>(
        &mut self,
        device: &str,
        figures: impl IntoIterator<Item = (&'m Metric, &'m Vec<f64>)>,
        verification: &Verification,
    ) -> Result<(), ReportError> {
        for (at, (metric, values)) in figures.into_iter().enumerate() {
            let value = self.measurement(metric, device, values, verification.clone())?;
            if at == 0 {
                self.classic(metric, value)?;
            }
        }
        Ok(())
    }

    /// A final number that is a bound: the largest of `values`, with their spread.
    pub(crate) fn best(
        &mut self,
        metric: &Metric,
        device: &str,
        values: &[f64],
        verification: Verification,
    ) -> Result<f64, ReportError> {
        self.number(metric, device, values, verification, |spread| spread.max)
    }

    fn number(
        &mut self,
        metric: &Metric,
        device: &str,
        values: &[f64],
        verification: Verification,
        value_of: impl Fn(&Spread) -> f64,
    ) -> Result<f64, ReportError> {
        let spread = Spread::of(values).ok_or_else(|| ReportError::NoValue {
            metric: metric.name.clone(),
        })?;
        let value = value_of(&spread);
        self.record(&CaseRecord::Measurement(Box::new(Measurement {
            metric: MetricName::new(metric.name.as_str())?,
            printed: None,
            value,
            unit: metric.unit.clone(),
            better: metric.better,
            definition: metric.definition.clone(),
            rank: Some(self.rank),
            device: Some(device.to_owned()),
            spread: Some(spread),
            repetitions: thinned(values),
            verification,
        })))?;
        Ok(value)
    }

    /// The classic line of a number, and of its twin in powers of two where it has one.
    pub(crate) fn classic(&mut self, metric: &Metric, value: f64) -> Result<(), ReportError> {
        let mut line = |value: f64, unit: &str| {
            writeln!(
                self.out,
                "{RESULT_PREFIX}Rank {}'s {}={}{unit}",
                self.rank,
                metric.name,
                classic_number(value)
            )
        };
        line(value, metric.unit.as_str())?;
        let in_gib = value * 1e9 / (1u64 << 30) as f64;
        if metric.unit == Unit::GB_PER_S {
            line(in_gib, "GiB/s")?;
        } else if metric.unit == Unit::GB {
            line(in_gib, Unit::GIB.as_str())?;
        }
        self.out.flush()?;
        Ok(())
    }

    /// The processor lacks what the case needs.
    pub(crate) fn unsupported(&mut self, feature: &str) -> Result<(), ReportError> {
        self.record(&CaseRecord::Unsupported {
            feature: feature.to_owned(),
        })
    }

    /// The case knows why it fails.
    pub(crate) fn failure(&mut self, message: &str) -> Result<(), ReportError> {
        self.record(&CaseRecord::Failure {
            rank: self.rank,
            message: message.to_owned(),
        })
    }

    fn record(&mut self, record: &CaseRecord) -> Result<(), ReportError> {
        // One write for the whole line, so that ranks which share a pipe do not tear it.
        let line = format!("{RECORD_PREFIX}{}\n", serde_json::to_string(record)?);
        self.out.write_all(line.as_bytes())?;
        self.out.flush()?;
        Ok(())
    }
}

/// Two decimals, as FlagPerf prints, but never fewer than four significant digits: a slow machine's
/// 0.0104 TFLOPS must not become 0.01.
fn classic_number(value: f64) -> String {
    let magnitude = if value == 0.0 || !value.is_finite() {
        0
    } else {
        value.abs().log10().floor() as i32
    };
    let decimals = (3 - magnitude).clamp(2, 12) as usize;
    format!("{value:.decimals$}")
}

fn thinned(values: &[f64]) -> Vec<f64> {
    if values.len() <= REPETITIONS_LISTED {
        return values.to_vec();
    }
    (0..REPETITIONS_LISTED)
        .map(|i| values[i * values.len() / REPETITIONS_LISTED])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn classic_numbers_keep_four_digits() {
        let texts: Vec<String> = [0.104_31, 0.000_104_31, 21.5338, 9.99, 1328.2549, 0.0]
            .into_iter()
            .map(classic_number)
            .collect();
        assert_eq!(
            texts,
            ["0.1043", "0.0001043", "21.53", "9.990", "1328.25", "0.000"]
        );
    }

    #[test]
    fn bandwidths_and_capacities_have_a_twin() {
        let metric = |unit| Metric {
            name: "m".into(),
            unit,
            better: Better::Higher,
            definition: String::new(),
        };
        let mut out = Vec::new();
        let mut reporter = Reporter::new(&mut out, 3);
        reporter
            .classic(&metric(Unit::GB_PER_S), 10.737_418_24)
            .unwrap();
        reporter.classic(&metric(Unit::GB), 107.374_182_4).unwrap();
        reporter.classic(&metric(Unit::TFLOPS), 1.5).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "[FlagPerf Result]Rank 3's m=10.74GB/s\n\
             [FlagPerf Result]Rank 3's m=10.00GiB/s\n\
             [FlagPerf Result]Rank 3's m=107.37GB\n\
             [FlagPerf Result]Rank 3's m=100.00GiB\n\
             [FlagPerf Result]Rank 3's m=1.500TFLOPS\n"
        );
    }

    #[test]
    fn a_bound_is_the_largest_and_any_other_number_the_median() {
        let metric = Metric {
            name: "m".into(),
            unit: Unit::TFLOPS,
            better: Better::Higher,
            definition: String::new(),
        };
        let unchecked = || Verification::Unchecked("x".into());
        let mut out = Vec::new();
        let mut reporter = Reporter::new(&mut out, 0);
        let values = [1.0, 4.0];
        let best = reporter.best(&metric, "cpu0", &values, unchecked());
        let middle = reporter.measurement(&metric, "cpu0", &values, unchecked());
        assert_eq!((best.unwrap(), middle.unwrap()), (4.0, 2.5));
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().next().unwrap().contains("\"value\":4.0"));
        assert!(text.lines().nth(1).unwrap().contains("\"value\":2.5"));
    }

    #[test]
    fn no_number_is_no_measurement() {
        let metric = Metric {
            name: "m".into(),
            unit: Unit::GB,
            better: Better::Higher,
            definition: String::new(),
        };
        for values in [&[][..], &[1.0, f64::NAN][..]] {
            let mut out = Vec::new();
            let checked = Verification::Checked("x".into());
            let result = Reporter::new(&mut out, 0).measurement(&metric, "cpu0", values, checked);
            assert!(matches!(result, Err(ReportError::NoValue { .. })));
            assert!(out.is_empty());
        }
    }

    proptest! {
        #[test]
        fn a_classic_number_is_near_the_value(value in 1e-6f64..1e9) {
            let printed: f64 = classic_number(value).parse().unwrap();
            prop_assert!((printed - value).abs() <= value * 0.0006);
        }

        #[test]
        fn thinning_keeps_order_and_bound(n in 0usize..6000) {
            let values: Vec<f64> = (0..n).map(|i| i as f64).collect();
            let kept = thinned(&values);
            prop_assert_eq!(kept.len(), n.min(REPETITIONS_LISTED));
            prop_assert!(kept.windows(2).all(|w| w[0] < w[1]));
        }
    }
}
