//! The table of results as rows: one for each number where they are few, and where they are many
//! their middle, their ends and those that stand out.

use std::collections::{HashMap, HashSet};

use flagperf_model::{Measurement, MetricName, NodeName, Outcome, Spread};

use crate::across::{Across, Apart, Member};
use crate::view::{APART, CaseView};

/// A number of the table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    pub(crate) number: f64,
    pub(crate) unit: String,
    /// Over repetitions; over rounds for a median over rounds; over nodes for one over nodes.
    pub(crate) spread: Option<Spread>,
}

/// A row of the table of results.
#[derive(Debug, Clone)]
pub(crate) struct Row<'a> {
    /// 0 for a case, 1 for what belongs to it, 2 for what belongs to that.
    pub(crate) depth: usize,
    pub(crate) label: String,
    pub(crate) value: Option<Value>,
    /// Stands behind the number, or in its place: why there is none, or what else is to be said.
    pub(crate) text: Option<String>,
    /// How it ended; on rows of cases, and of rounds where there are several.
    pub(crate) outcome: Option<&'a Outcome>,
    /// The measurement behind the number, unless it is a median.
    pub(crate) measurement: Option<&'a Measurement>,
}

/// One number's key over the rounds: metric, node, rank, device.
pub(crate) type Key<'a> = (&'a MetricName, &'a NodeName, Option<u32>, Option<&'a str>);

/// A metric with every number that was measured of it.
pub(crate) struct Metric<'a> {
    pub(crate) name: &'a MetricName,
    pub(crate) primary: bool,
    /// In the order of nodes and ranks.
    pub(crate) keys: Vec<Key<'a>>,
}

/// The measurements of a case, round by round.
pub(crate) struct Numbers<'a> {
    rounds: Vec<HashMap<Key<'a>, &'a Measurement>>,
}

impl<'a> Numbers<'a> {
    pub(crate) fn of(case: &CaseView<'a>) -> Self {
        let rounds = case.rounds.iter().map(|(_, result)| {
            let mut found = HashMap::new();
            for (node, m) in &result.measurements {
                found.entry(key(node, m)).or_insert(m);
            }
            found
        });
        Self {
            rounds: rounds.collect(),
        }
    }

    /// A number over all rounds: the number itself for one round, the median for several.
    fn over_rounds(&self, key: Key<'a>) -> Row<'a> {
        let found: Vec<&'a Measurement> = self
            .rounds
            .iter()
            .filter_map(|round| round.get(&key).copied())
            .collect();
        let values: Vec<f64> = found.iter().map(|m| m.value).collect();
        let (value, measurement) = match found.as_slice() {
            [] => (None, None),
            [only] if self.rounds.len() == 1 => (Some(value_of(only)), Some(*only)),
            [first, ..] => {
                let spread = Spread::of(&values);
                let value = Value {
                    number: spread.map_or(first.value, |spread| spread.median),
                    unit: first.unit.to_string(),
                    spread,
                };
                (Some(value), None)
            }
        };
        Row {
            value,
            measurement,
            ..empty(1)
        }
    }

    /// The numbers of a metric in all rounds, or in one of them, side by side.
    pub(crate) fn across(
        &self,
        case: &CaseView<'a>,
        metric: &Metric<'a>,
        round: Option<usize>,
    ) -> Option<Across> {
        let rounds = match round {
            Some(round) => &self.rounds[round..=round],
            None => &self.rounds[..],
        };
        let one = Self {
            rounds: rounds.to_vec(),
        };
        let apart = Apart::of(&metric.keys);
        let members = metric.keys.iter().filter_map(|key| {
            Some(Member {
                name: apart.name(*key),
                value: one.over_rounds(*key).value?.number,
            })
        });
        let first = one.rounds.iter().find_map(|round| {
            let mut keys = metric.keys.iter();
            keys.find_map(|key| round.get(key))
        })?;
        let planned = case.planned.map_or(0, |planned| planned.tasks.len());
        Across::of(
            members.collect(),
            first.unit.as_str(),
            first.better,
            apart.count(planned),
        )
    }
}

impl<'a> CaseView<'a> {
    /// What was measured, metric by metric, in the order in which they were first reported.
    pub(crate) fn metrics(&self) -> Vec<Metric<'a>> {
        let mut metrics: Vec<Metric<'a>> = Vec::new();
        let mut seen = HashSet::new();
        let declared = self
            .planned
            .and_then(|planned| planned.spec.metrics.iter().find(|decl| decl.primary))
            .map(|decl| &decl.name);
        for (node, m) in self
            .rounds
            .iter()
            .flat_map(|(_, result)| &result.measurements)
        {
            let key = key(node, m);
            if !seen.insert(key) {
                continue;
            }
            match metrics.iter_mut().find(|metric| *metric.name == m.metric) {
                Some(metric) => metric.keys.push(key),
                None => metrics.push(Metric {
                    name: &m.metric,
                    primary: declared == Some(&m.metric),
                    keys: vec![key],
                }),
            }
        }
        // Where none is declared, or the declared one was not reported, the first stands for the case.
        if !metrics.iter().any(|metric| metric.primary)
            && let Some(first) = metrics.first_mut()
        {
            first.primary = true;
        }
        for metric in &mut metrics {
            // Nodes report in no particular order.
            metric
                .keys
                .sort_by_key(|(_, node, rank, _)| (self.places.get(node).copied(), *rank));
        }
        metrics
    }

    /// The case's rows of the table of results.
    pub(crate) fn rows(&self) -> Vec<Row<'a>> {
        let numbers = Numbers::of(self);
        let (primary, secondary): (Vec<_>, Vec<_>) = self
            .metrics()
            .into_iter()
            .partition(|metric| metric.primary);
        let mut head = Row {
            label: self.name.to_string(),
            outcome: self.outcome(),
            ..empty(0)
        };
        let mut rows = Vec::new();
        let keys = primary.first().map_or(&[][..], |metric| &metric.keys);
        match (primary.first(), keys) {
            (None, _) => head.text = self.reason(),
            (Some(_), [only]) => {
                let over = numbers.over_rounds(*only);
                head.value = over.value;
                head.measurement = over.measurement;
                self.round_rows(&numbers, *only, 1, &mut rows);
            }
            (Some(_), keys) if keys.len() <= APART => {
                for key in keys {
                    rows.push(Row {
                        label: self.whose(*key),
                        ..numbers.over_rounds(*key)
                    });
                    self.round_rows(&numbers, *key, 2, &mut rows);
                }
            }
            (Some(metric), _) => {
                if let Some(across) = numbers.across(self, metric, None) {
                    head.value = Some(across.value());
                    rows.extend(notable(&across, 1));
                }
                self.rounds_across(&numbers, metric, &mut rows);
            }
        }
        for metric in secondary {
            self.secondary(&numbers, &metric, keys, &mut rows);
        }
        rows.insert(0, head);
        rows
    }

    fn secondary(
        &self,
        numbers: &Numbers<'a>,
        metric: &Metric<'a>,
        primary: &[Key<'a>],
        rows: &mut Vec<Row<'a>>,
    ) {
        let name = self.short_name(metric.name);
        if metric.keys.len() > APART {
            let Some(across) = numbers.across(self, metric, None) else {
                return;
            };
            rows.push(Row {
                label: name,
                value: Some(across.value()),
                ..empty(1)
            });
            // Of how many it is told once for all metrics of which that is the same.
            let told = usize::from(metric.keys.len() == primary.len());
            rows.extend(notable(&across, 2).into_iter().skip(told));
            return;
        }
        for key in &metric.keys {
            let mut label = name.clone();
            if primary.len() > 1 && metric.keys.len() > 1 {
                label = format!("{label}, {}", self.whose(*key));
            } else if let (Some(device), [only]) = (key.3, primary)
                && only.3 != Some(device)
            {
                // A link between two nodes, where the case as a whole has all of them.
                label = format!("{label} {device}");
            }
            rows.push(Row {
                label,
                ..numbers.over_rounds(*key)
            });
        }
    }

    fn round_rows(
        &self,
        numbers: &Numbers<'a>,
        key: Key<'a>,
        depth: usize,
        rows: &mut Vec<Row<'a>>,
    ) {
        if self.rounds.len() < 2 {
            return;
        }
        for ((_, result), found) in self.rounds.iter().zip(&numbers.rounds) {
            let m = found.get(&key).copied();
            rows.push(Row {
                label: format!("round {}", result.round),
                value: m.map(value_of),
                text: m.is_none().then(|| result.outcome.to_string()),
                outcome: Some(&result.outcome),
                measurement: m,
                ..empty(depth)
            });
        }
    }

    fn rounds_across(&self, numbers: &Numbers<'a>, metric: &Metric<'a>, rows: &mut Vec<Row<'a>>) {
        if self.rounds.len() < 2 {
            return;
        }
        for (place, (_, result)) in self.rounds.iter().enumerate() {
            let across = numbers.across(self, metric, Some(place));
            rows.push(Row {
                label: format!("round {}", result.round),
                text: across.is_none().then(|| result.outcome.to_string()),
                value: across.map(|across| across.value()),
                outcome: Some(&result.outcome),
                ..empty(1)
            });
        }
    }

    fn whose(&self, (_, node, rank, device): Key<'_>) -> String {
        let mut parts = Vec::new();
        if self.places.len() > 1 {
            parts.push(node.to_string());
        }
        parts.extend(rank.map(|rank| format!("rank {rank}")));
        parts.extend(device.map(str::to_owned));
        if parts.is_empty() {
            parts.push(node.to_string());
        }
        parts.join(" ")
    }
}

/// Where many numbers lie, and which of them stand out.
fn notable<'a>(across: &Across, depth: usize) -> Vec<Row<'a>> {
    let mut rows = vec![Row {
        label: format!("over {}", across.count),
        text: Some(across.range()),
        ..empty(depth)
    }];
    if let Some(text) = across.outlying_words() {
        rows.push(Row {
            label: "outlying".to_owned(),
            text: Some(text),
            ..empty(depth)
        });
    }
    rows
}

fn empty<'a>(depth: usize) -> Row<'a> {
    Row {
        depth,
        label: String::new(),
        value: None,
        text: None,
        outcome: None,
        measurement: None,
    }
}

pub(crate) fn key<'a>(node: &'a NodeName, m: &'a Measurement) -> Key<'a> {
    (&m.metric, node, m.rank, m.device.as_deref())
}

fn value_of(m: &Measurement) -> Value {
    Value {
        number: m.value,
        unit: m.unit.to_string(),
        spread: m.spread,
    }
}
