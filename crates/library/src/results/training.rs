//! Suite training: the result of rank 0 in the PerfLog, or printed lines.

use std::collections::BTreeMap;

use flagperf_model::{Measurement, NodeName, Unit};

use super::decl::{Decl, Number};
use super::literal::Literal;
use super::perf_log::{self, Told, told};
use super::printed::{self, Figure, Printed};
use super::remark::ResultRemark;
use super::{Found, MOST_KEYS, names};
use crate::Collected;
use crate::collector::MARK;
use crate::lines::Marks;

/// Which lines are of interest: those with a text of the PerfLog or of [`printed`], and, for two numbers
/// that say nothing of themselves, the line before.
pub(crate) const MARKS: Marks = Marks {
    texts: &[
        MARK,
        perf_log::MARK,
        " per second",
        "Tokens/p/s",
        "MFU",
        "TFLOPS:",
        "(token per",
        "computing power:",
        "avg_iter_time",
        " time is ",
        "tokens_",
        "MMMU :",
        "-shots Acc:",
        "Key: ",
        " stage",
        "two-stage",
    ],
    before: true,
};

/// Reads the lines of a case of suite training.
#[derive(Debug)]
pub(crate) struct Training {
    model: String,
    /// True if the ranks of all nodes train one model.
    spans: bool,
    streams: BTreeMap<NodeName, BTreeMap<u32, Printed>>,
    /// The result in the PerfLog.
    finished: BTreeMap<NodeName, Finished>,
    /// Printed figures, by node and metric.
    printed: BTreeMap<(NodeName, String), Shown>,
    remarks: Vec<(NodeName, ResultRemark)>,
}

/// A result in the PerfLog.
#[derive(Debug)]
struct Finished {
    /// The rank within the node that the line itself tells, and that of the process.
    ranks: (u32, u32),
    figures: Vec<(String, Literal)>,
}

/// A printed figure.
#[derive(Debug)]
struct Shown {
    printed: String,
    /// Not finite if there was no number.
    value: f64,
    times: u32,
}

impl Training {
    pub(crate) fn new(model: &str, spans: bool) -> Self {
        Self {
            model: model.to_owned(),
            spans,
            streams: BTreeMap::new(),
            finished: BTreeMap::new(),
            printed: BTreeMap::new(),
            remarks: Vec::new(),
        }
    }

    pub(crate) fn line(
        &mut self,
        node: &NodeName,
        rank: u32,
        line: &str,
        out: &mut Vec<Collected>,
    ) {
        for told in told(line) {
            match told {
                Ok(Told::Entered(phase)) => out.push(Collected::Entered { rank, phase }),
                Ok(Told::Finished(own, figures)) => self.finished(node, (own, rank), figures),
                Err(error) => self.unreadable(node, error.to_string()),
            }
        }
        if !self.streams.contains_key(node) {
            self.streams.insert(node.clone(), BTreeMap::new());
        }
        let stream = self.streams.get_mut(node);
        let stream = stream.map(|ranks| ranks.entry(rank).or_default());
        for figure in stream.map(|stream| stream.line(line)).unwrap_or_default() {
            self.figure(node, figure);
        }
    }

    fn unreadable(&mut self, node: &NodeName, problem: String) {
        if self.remarks.len() < MOST_KEYS {
            let mark = perf_log::MARK;
            let remark = ResultRemark::Unreadable { mark, problem };
            self.remarks.push((node.clone(), remark));
        }
    }

    /// Of several ranks the first speaks for all; what it says last counts.
    fn finished(
        &mut self,
        node: &NodeName,
        ranks: (u32, u32),
        mut figures: Vec<(String, Literal)>,
    ) {
        figures.truncate(MOST_KEYS);
        let known = self.finished.get(node);
        if known.is_none_or(|known| ranks <= known.ranks) {
            self.finished
                .insert(node.clone(), Finished { ranks, figures });
        }
    }

    fn figure(&mut self, node: &NodeName, figure: Figure<'_>) {
        let metric = match names::meant(&self.model, figure.printed) {
            other if other != figure.printed => other.to_owned(),
            _ => figure.metric,
        };
        let key = (node.clone(), metric);
        let full = self.printed.len() >= MOST_KEYS * self.streams.len();
        if full && !self.printed.contains_key(&key) {
            return;
        }
        let shown = self.printed.entry(key).or_insert_with(|| Shown {
            printed: String::new(),
            value: f64::NAN,
            times: 0,
        });
        shown.times = shown.times.saturating_add(1);
        figure.printed.clone_into(&mut shown.printed);
        shown.value = figure.value;
    }

    pub(crate) fn finish(self) -> Found {
        let mut found = Found {
            remarks: self.remarks,
            ..Found::default()
        };
        let processes = self.finished.values().map(|finished| finished.ranks.1);
        let first = processes.min();
        for (node, finished) in self.finished {
            // The first rank of each node prints the result, all of them the same.
            if self.spans && Some(finished.ranks.1) != first {
                continue;
            }
            for (key, value) in finished.figures {
                found.take(&node, logged(&key, value));
            }
        }
        for ((node, metric), shown) in self.printed {
            let decl = printed::declared(&metric);
            let number = Number {
                metric,
                printed: &shown.printed,
                value: shown.value,
                unit: Unit::new(decl.map_or("", |decl| decl.unit)),
                rank: None,
                device: None,
            };
            found.take(&node, number.measurement(decl));
            if shown.times > 1 {
                found.remarks.push((
                    node,
                    ResultRemark::Repeated {
                        metric: shown.printed,
                        times: shown.times,
                    },
                ));
            }
        }
        found.numbers.sort_by_key(|(_, number)| {
            let name = number.metric.as_str();
            perf_log::place(name).map_or_else(|| printed::place(name), |place| (0, place))
        });
        found
    }
}

/// A figure of the result in the PerfLog.
fn logged(key: &str, value: Literal) -> Result<Measurement, ResultRemark> {
    let value = match value {
        Literal::Number(value) => value,
        Literal::Bool(value) => f64::from(u8::from(value)),
        Literal::None => f64::NAN,
        other => {
            return Err(ResultRemark::NotANumber {
                metric: key.to_owned(),
                what: other.kind(),
            });
        }
    };
    let (name, unit) = perf_log::meant(key);
    let decl = perf_log::METRICS.iter().find(|decl| decl.name == name);
    let declared = decl.map_or("", |decl: &Decl| decl.unit);
    let number = Number {
        metric: name.to_owned(),
        printed: key,
        value,
        unit: Unit::new(unit.unwrap_or(declared)),
        rank: None,
        device: None,
    };
    number.measurement(decl)
}
