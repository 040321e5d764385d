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
    pub(super) rank: Option<u32>,
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
    // A case may print the same thing once more in another unit.
    let results: Vec<&Number> = results
        .iter()
        .filter(|found| found.unit == first.unit)
        .collect();
    let mut order = results.clone();
    order.sort_by(|a, b| a.value.total_cmp(&b.value));
    let values: Vec<f64> = results.iter().map(|found| found.value).collect();
    let ([low, .., high], Some(middle)) = (order.as_slice(), median(&values)) else {
        return format!("{} {}", significant(first.value), first.unit);
    };
    let ends = [low, high].map(|end| significant(end.value));
    if ends[0] == ends[1] {
        return format!("{} {}{}", ends[0], first.unit, shared(&results));
    }
    format!(
        "median {} {} of {}: {} ({}) to {} ({})",
        significant(middle),
        first.unit,
        results.len(),
        ends[0],
        whose(low, &results),
        ends[1],
        whose(high, &results),
    )
}

/// What tells a number from the others: its node, its rank, or both.
fn whose(number: &Number, all: &[&Number]) -> String {
    let is_only_node = all.iter().all(|other| other.node == number.node);
    let of_node = all.iter().filter(|other| other.node == number.node);
    match number.rank {
        Some(rank) if is_only_node => format!("rank {rank}"),
        Some(rank) if of_node.count() > 1 => format!("{} rank {rank}", number.node),
        _ => number.node.to_string(),
    }
}

/// Who has the same number: ` on each of 8 ranks`.
fn shared(all: &[&Number]) -> String {
    let nodes: BTreeSet<&NodeName> = all.iter().map(|found| &found.node).collect();
    if nodes.len() == all.len() {
        format!(" on each of {} nodes", all.len())
    } else if all.iter().all(|found| found.rank.is_some()) {
        format!(" on each of {} ranks", all.len())
    } else {
        format!(", {} times", all.len())
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
            rank: None,
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
        let same = [number("a", 2.0), number("b", 2.000_01)];
        assert_eq!(summed_up(&same), "2.000 GB/s on each of 2 nodes");
    }

    #[test]
    fn ranks_are_named_where_nodes_do_not_tell_numbers_apart() {
        let number = |node: &str, rank, value| Number {
            node: NodeName::new(node).unwrap(),
            rank: Some(rank),
            value,
            unit: "TFLOPS".to_owned(),
        };
        let of_one = [number("a", 0, 19.0), number("a", 1, 19.1)];
        assert_eq!(
            summed_up(&of_one),
            "median 19.05 TFLOPS of 2: 19.00 (rank 0) to 19.10 (rank 1)"
        );
        let same = [number("a", 0, 19.05), number("a", 1, 19.05)];
        assert_eq!(summed_up(&same), "19.05 TFLOPS on each of 2 ranks");
        let of_two = [
            number("a", 0, 3.0),
            number("a", 1, 1.0),
            number("b", 2, 2.0),
        ];
        assert_eq!(
            summed_up(&of_two),
            "median 2.000 TFLOPS of 3: 1.000 (a rank 1) to 3.000 (a rank 0)"
        );
    }

    #[test]
    fn numbers_in_another_unit_are_not_mixed_in() {
        let number = |value, unit: &str| Number {
            node: NodeName::new("a").unwrap(),
            rank: Some(0),
            value,
            unit: unit.to_owned(),
        };
        let both = [number(1510.2, "GB/s"), number(1406.5, "GiB/s")];
        assert_eq!(summed_up(&both), "1510 GB/s");
    }
}
