//! Suite inference: the line of the level `Finish Info`, with a dictionary of all key figures.

use std::collections::BTreeMap;

use flagperf_model::{CaseRecord, Measurement, NodeName, Phase, TreeCase, Unit};

use super::decl::{Decl, Number, fact, less, more};
use super::literal::{Literal, read};
use super::remark::ResultRemark;
use super::{Found, MOST_KEYS};
use crate::Collected;
use crate::collector::MARK;
use crate::lines::Marks;

/// The level of the line with the results.
const FINISH: &str = "Finish Info";
const BEGIN: &str = "Vendor Inference Begin";
const END: &str = "Vendor Inference End";

/// Which lines are of interest.
pub(crate) const MARKS: Marks = Marks {
    texts: &[MARK, FINISH, BEGIN, END],
    before: false,
};

/// The nominal rates of the chip, in operations per second. Absent if they are not known; a rate that
/// is not more than 0 counts as absent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Peaks {
    /// With 32-bit floating point numbers.
    pub fp32: Option<f64>,
    /// With 16-bit floating point numbers.
    pub fp16: Option<f64>,
}

impl Peaks {
    /// Those of the chip that a case was planned for.
    pub(crate) fn of_case(case: &TreeCase) -> Self {
        let peak = |format: &str| case.peaks.get(format).map(|&giga| giga as f64 * 1e9);
        Self {
            fp32: peak("fp32"),
            fp16: peak("fp16"),
        }
    }

    /// The rate for a precision as the case prints it.
    fn of(&self, precision: &str) -> Option<f64> {
        let peak = match precision {
            "fp32" => self.fp32,
            "fp16" => self.fp16,
            _ => None,
        };
        peak.filter(|peak| peak.is_finite() && *peak > 0.0)
    }
}

/// The key figures, the primary one first.
pub(crate) const METRICS: &[Decl] = &[
    more(
        "p_inference_core",
        "qps",
        "Items per second of the compiled model while it computes: items of all passes divided by the time in the model's calls between synchronisations of the chip; an item is what the case counts, an image, a sequence or a token",
    ),
    more(
        "p_inference_whole",
        "qps",
        "Items per second of the compiled model with everything around it, such as loading of data",
    ),
    more(
        "p_validation_core",
        "qps",
        "Items per second of the framework's own model while it computes",
    ),
    more(
        "p_validation_whole",
        "qps",
        "Items per second of the framework's own model with everything around it",
    ),
    more(
        "MFU",
        "%",
        "100 times flops divided by the nominal rate of the chip in the precision of the case",
    ),
    more(
        "flops",
        "op/s",
        "Operations per second: those that the case states for one item, times p_inference_core, or times p_validation_core where nothing was compiled",
    ),
    more(
        "infer_average_acc",
        "",
        "Quality of the compiled model's answers, as the case defines it; 1 is best",
    ),
    more(
        "val_average_acc",
        "",
        "Quality of the framework's own model's answers, as the case defines it; 1 is best",
    ),
    less(
        "e2e_time",
        "s",
        "Seconds from the start of the case to its end",
    ),
    fact("batchsize", "", "Items that the model computes at once"),
];

/// Reads the lines of a case of suite inference.
#[derive(Debug)]
pub(crate) struct Inference {
    peaks: Peaks,
    found: BTreeMap<NodeName, Figures>,
    remarks: Vec<(NodeName, ResultRemark)>,
}

/// The last line with results that a node printed.
#[derive(Debug, Default)]
struct Figures {
    times: u32,
    numbers: Vec<Measurement>,
    remarks: Vec<ResultRemark>,
}

impl Inference {
    pub(crate) fn new(peaks: Peaks) -> Self {
        Self {
            peaks,
            found: BTreeMap::new(),
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
        // The figures of a model that is not compiled come first and are not of interest where there
        // is one that is.
        for (mark, phase) in [(BEGIN, Phase::Measure), (END, Phase::End)] {
            if line.contains(mark) {
                out.push(Collected::Entered { rank, phase });
            }
        }
        let Some((_, rest)) = line.split_once(FINISH) else {
            return;
        };
        let Some(at) = rest.find('{') else {
            return self.unreadable(node, "there is no `{` in it".to_owned());
        };
        match read(&rest[at..]) {
            Ok((Literal::Map(members), _)) => self.figures(node, rank, members, out),
            Ok(_) => {}
            Err(error) => self.unreadable(node, error.to_string()),
        }
    }

    fn unreadable(&mut self, node: &NodeName, problem: String) {
        if self.remarks.len() < MOST_KEYS {
            let mark = FINISH;
            let remark = ResultRemark::Unreadable { mark, problem };
            self.remarks.push((node.clone(), remark));
        }
    }

    fn figures(
        &mut self,
        node: &NodeName,
        rank: u32,
        members: Vec<(String, Literal)>,
        out: &mut Vec<Collected>,
    ) {
        let figures = self.found.entry(node.clone()).or_default();
        let times = figures.times.saturating_add(1);
        *figures = Figures {
            times,
            ..Figures::default()
        };
        let mut flops = None;
        let mut precision = None;
        for (key, value) in members.into_iter().take(MOST_KEYS) {
            match value {
                Literal::Number(value) => {
                    if key == "flops" {
                        flops = Some(value);
                    }
                    figures.add(&key, value);
                }
                Literal::Text(value) => {
                    if key == "precision" {
                        precision = Some(value.clone());
                    }
                    out.push(Collected::Record(CaseRecord::Note { rank, key, value }));
                }
                // What was not asked for: a compiled model where there is no compiler.
                Literal::None => {}
                other => figures.remarks.push(ResultRemark::NotANumber {
                    metric: key,
                    what: other.kind(),
                }),
            }
        }
        let Some(flops) = flops.filter(|flops| flops.is_finite()) else {
            return;
        };
        let precision = precision.unwrap_or_default();
        match self.peaks.of(&precision) {
            Some(peak) => figures.add("MFU", 100.0 * flops / peak),
            None => figures.remarks.push(ResultRemark::NoPeak { precision }),
        }
    }

    pub(crate) fn finish(self) -> Found {
        let mut all = Found {
            remarks: self.remarks,
            ..Found::default()
        };
        for (node, mut figures) in self.found {
            if figures.times > 1 {
                figures.remarks.push(ResultRemark::Repeated {
                    metric: FINISH.to_owned(),
                    times: figures.times,
                });
            }
            figures.numbers.sort_by_key(|number| {
                let mut names = METRICS.iter().map(|decl| decl.name);
                let place = names.position(|name| name == number.metric.as_str());
                place.unwrap_or(METRICS.len())
            });
            let numbers = figures.numbers.into_iter();
            all.numbers
                .extend(numbers.map(|number| (node.clone(), number)));
            let remarks = figures.remarks.into_iter();
            all.remarks
                .extend(remarks.map(|remark| (node.clone(), remark)));
        }
        all
    }
}

impl Figures {
    fn add(&mut self, key: &str, value: f64) {
        let (name, unit) = split_unit(key);
        let decl = METRICS.iter().find(|decl| decl.name == name);
        let number = Number {
            metric: name.to_owned(),
            printed: key,
            value,
            unit: Unit::new(decl.map_or(unit, |decl| decl.unit)),
            rank: None,
            device: None,
        };
        match number.measurement(decl) {
            Ok(number) => self.numbers.push(number),
            Err(remark) => self.remarks.push(remark),
        }
    }
}

/// `*p_inference_core(qps)` is `p_inference_core` in `qps`.
fn split_unit(key: &str) -> (&str, &str) {
    let key = key.strip_prefix('*').unwrap_or(key);
    match key.strip_suffix(')').and_then(|key| key.split_once('(')) {
        Some((name, unit)) if !name.is_empty() => (name, unit),
        _ => (key, ""),
    }
}
