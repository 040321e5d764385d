//! The running case, as a person sees it.

use std::collections::BTreeSet;

use flagperf_model::{NodeName, Timestamp, median};

/// The running case.
pub(super) struct Current {
    pub(super) label: String,
    pub(super) started: Timestamp,
    pub(super) expected_s: Option<f64>,
    pub(super) limit_s: f64,
    pub(super) phase: &'static str,
    /// `171.3 GFLOPS`, when the case has said so.
    pub(super) value: Option<String>,
    /// Seconds of measurement to come, and when the case said so.
    pub(super) remaining: Option<(f64, Timestamp)>,
    /// The metric that stands for the case: the declared one, else the first that is told.
    pub(super) primary: Option<String>,
    /// On how many nodes it runs.
    pub(super) nodes: usize,
    pub(super) results: Vec<Number>,
}

/// A final number, and whose it is.
pub(super) struct Number {
    pub(super) node: NodeName,
    pub(super) value: f64,
    pub(super) unit: String,
}

impl Current {
    /// Its line.
    pub(super) fn line(&self, now: Timestamp) -> String {
        let since = now.seconds_since(self.started).max(0.0);
        let time = match (self.remaining, self.expected_s) {
            (Some((seconds, at)), _) => left(seconds - now.seconds_since(at)),
            (None, Some(expected)) => left(expected - since),
            (None, None) => format!("{since:.0} s so far, at most {:.0} s", self.limit_s),
        };
        let value = self.value.as_deref().unwrap_or_default();
        let text = format!("{}: {}  {time}  {value}", self.label, self.phase);
        let done: BTreeSet<&NodeName> = self.results.iter().map(|found| &found.node).collect();
        if self.nodes > 1 && !done.is_empty() {
            format!("{text}  {} of {} nodes", done.len(), self.nodes)
        } else {
            text
        }
    }
}

/// The number, or of several their median and both ends with whose they are.
pub(super) fn summed_up(results: &[Number]) -> String {
    let Some(first) = results.first() else {
        return "no number".to_owned();
    };
    let mut order: Vec<&Number> = results.iter().collect();
    order.sort_by(|a, b| a.value.total_cmp(&b.value));
    let values: Vec<f64> = results.iter().map(|found| found.value).collect();
    match (order.as_slice(), median(&values)) {
        ([low, .., high], Some(middle)) => format!(
            "median {} {} of {}: {} ({}) to {} ({})",
            significant(middle),
            first.unit,
            results.len(),
            significant(low.value),
            low.node,
            significant(high.value),
            high.node
        ),
        _ => format!("{} {}", significant(first.value), first.unit),
    }
}

fn left(seconds: f64) -> String {
    format!("{:.0} s left", seconds.max(0.0))
}

/// Four significant digits.
pub(super) fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    if !(1e-4..1e7).contains(&value.abs()) {
        return format!("{value:.3e}");
    }
    let decimals = (3 - value.abs().log10().floor() as i32).clamp(0, 9) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.012_345_6, "0.01235"),
            (1.0, "1.000"),
            (171.26, "171.3"),
            (54_321.0, "54321"),
            (-5e300, "-5.000e300"),
        ] {
            assert_eq!(significant(value), text);
        }
    }
    #[test]
    fn several_numbers_are_summed_up() {
        let number = |node: &str, value| Number {
            node: NodeName::new(node).unwrap(),
            value,
            unit: "GB/s".to_owned(),
        };
        assert_eq!(summed_up(&[]), "no number");
        assert_eq!(summed_up(&[number("a", 2.0)]), "2.000 GB/s");
        let three = [number("a", 2.0), number("b", 1.0), number("c", 4.0)];
        assert_eq!(
            summed_up(&three),
            "median 2.000 GB/s of 3: 1.000 (b) to 4.000 (c)"
        );
    }
}
