//! Results of training that are printed as plain lines, by cases for Megatron, DeepSpeed and FlagScale
//! and by those that start their parts on other nodes themselves.

use super::decl::{Decl, fact, less, loss, more};
use super::literal::{Literal, read};

/// A line with a figure: what stands before the number, and what it means.
struct Shape {
    key: &'static str,
    metric: &'static str,
    /// What the number is multiplied by.
    factor: f64,
}

const fn shape(key: &'static str, metric: &'static str) -> Shape {
    let factor = 1.0;
    Shape {
        key,
        metric,
        factor,
    }
}

const SHAPES: &[Shape] = &[
    shape("System tokens per second:", "tokens_per_second"),
    shape("Tokens/p/s:", "tokens_per_chip_per_second"),
    shape(
        "Throughput(token per chip per second):",
        "tokens_per_chip_per_second",
    ),
    Shape {
        factor: 100.0,
        ..shape("MFU:", "MFU")
    },
    shape("Theory TFLOPS:", "theory_TFLOPS"),
    shape("Tokens/TFLOPS:", "tokens_per_TFLOP"),
    shape("Throughput(token per TFLOPS):", "tokens_per_TFLOP"),
    shape("Actual computing power:", "actual_TFLOPS"),
    shape("avg_iter_time(s):", "step_time"),
    shape("pretrain time is", "pretrain-time"),
    shape("finetune time is", "finetune-time"),
    shape("tokens_pretrain is", "pretrain-tokens_per_sample"),
    shape("tokens_finetune is", "finetune-tokens_per_sample"),
    shape("MMMU :", "MMMU"),
    shape("-shots Acc:", "MMLU"),
];

/// Headings of the parts of a case that trains in several, and what stands before the names below them.
const STAGES: &[(&str, &str)] = &[
    ("Pretrain stage", "pretrain-"),
    ("Finetune stage", "finetune-"),
    ("two-stage average", "average-"),
];

/// The figures, the primary one first.
pub(crate) const METRICS: &[Decl] = &[
    more(
        "tokens_per_chip_per_second",
        "tokens/s",
        "Tokens trained on divided by the time and by the number of chips, as the case counts both",
    ),
    more(
        "tokens_per_second",
        "tokens/s",
        "Tokens trained on by all chips together divided by the time",
    ),
    more(
        "MFU",
        "%",
        "100 times the operations that the model needs for what was trained on, divided by those that the chips could have done in that time at the nominal rate in the case's configuration; printed as a share of 1",
    ),
    more(
        "tokens_per_TFLOP",
        "tokens/TFLOP",
        "Tokens that a chip trains on for every 10^12 operations of its nominal rate",
    ),
    more(
        "actual_TFLOPS",
        "TFLOPS",
        "MFU times the nominal rate, 10^12 operations per second",
    ),
    less("step_time", "s", "Seconds of a step: the mean over steps"),
    fact(
        "tokens_per_step",
        "tokens",
        "Tokens of a step; its time is not in it",
    ),
    less("time", "s", "Seconds of the stage"),
    fact(
        "tokens_per_sample",
        "tokens",
        "Mean number of tokens of a sample",
    ),
    fact(
        "theory_TFLOPS",
        "TFLOPS",
        "The chip's nominal rate in the case's configuration, rounded down",
    ),
    more("MMMU", "", "Share of right answers in MMMU"),
    more("MMLU", "", "Share of right answers in MMLU"),
    less(
        "avg_train_prep",
        "",
        "Perplexity in training: the mean over epochs",
    ),
    loss("avg_train_loss", "Loss in training: the mean over epochs"),
    less(
        "avg_eval_prep",
        "",
        "Perplexity in evaluation: the mean over epochs",
    ),
    loss("avg_eval_loss", "Loss in evaluation: the mean over epochs"),
    less("avg_epoch_time", "s", "Seconds of an epoch: the mean"),
    less(
        "avg_checkpoint_time",
        "s",
        "Seconds of writing a checkpoint: the mean",
    ),
];

/// What a metric counts: the same in every stage.
pub(crate) fn declared(metric: &str) -> Option<&'static Decl> {
    let stage = STAGES
        .iter()
        .find_map(|(_, prefix)| metric.strip_prefix(prefix));
    let name = stage.unwrap_or(metric);
    METRICS.iter().find(|decl| decl.name == name)
}

/// How far from the front a metric stands: what is of all stages together is first.
pub(crate) fn place(metric: &str) -> (usize, usize) {
    let mut stages = STAGES.iter().rev();
    let stage = stages.position(|(_, prefix)| metric.starts_with(prefix));
    let decl = declared(metric).map(|decl| decl.name);
    let place = METRICS.iter().position(|known| Some(known.name) == decl);
    (stage.unwrap_or(0), place.unwrap_or(METRICS.len()))
}

/// A figure of a line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure<'a> {
    /// The metric that its name usually means, with the stage before it.
    pub(crate) metric: String,
    /// Its name as printed.
    pub(crate) printed: &'a str,
    /// Not finite if there is no number.
    pub(crate) value: f64,
}

/// Reads the lines of one process.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    stage: &'static str,
    /// The two numbers of the line before, where it had nothing else.
    pair: Option<(f64, f64)>,
}

impl Printed {
    /// The figures of a line, several if it tells what the line before it was.
    pub(crate) fn line<'a>(&mut self, line: &'a str) -> Vec<Figure<'a>> {
        let line = line.trim();
        let before = self.pair.take();
        if let Some((_, prefix)) = STAGES.iter().find(|(heading, _)| *heading == line) {
            self.stage = prefix;
            return Vec::new();
        }
        if let Some(pair) = pair(line) {
            self.pair = Some(pair);
            return Vec::new();
        }
        let mut figures = Vec::new();
        for shape in SHAPES {
            let Some(value) = value_of(line, shape.key) else {
                continue;
            };
            if shape.metric == "MFU"
                && let Some((step, rate)) = before
            {
                for (metric, value) in [("step_time", step), ("tokens_per_chip_per_second", rate)] {
                    figures.push(Figure {
                        metric: metric.to_owned(),
                        printed: metric,
                        value,
                    });
                }
            }
            // Some names tell their stage themselves.
            let staged = STAGES
                .iter()
                .any(|(_, prefix)| shape.metric.starts_with(prefix));
            let stage = if staged { "" } else { self.stage };
            figures.push(Figure {
                metric: format!("{stage}{}", shape.metric),
                printed: shape
                    .key
                    .trim_end_matches([':', ' '])
                    .trim_start_matches('-'),
                value: value * shape.factor,
            });
            break;
        }
        figures.extend(key_and_value(line));
        figures
    }
}

/// Two numbers and nothing else: FlagScale's seconds of a step and tokens per chip and second.
fn pair(line: &str) -> Option<(f64, f64)> {
    let (first, second) = line.split_once(' ')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

/// The number behind a key, not finite if there is nothing. Absent if the line has something else.
fn value_of(line: &str, key: &str) -> Option<f64> {
    let at = line.find(key)?;
    // Behind the time and place of a logger, the name of a node, or a rank; not inside of a word. The
    // number of examples stands directly before what is said of them.
    let before = line[..at].chars().next_back();
    let begins = before.is_none_or(|c| c.is_whitespace() || c == ']' || c == ':' || c == '>');
    if !begins && !key.starts_with('-') {
        return None;
    }
    let rest = line[at + key.len()..].trim();
    if rest.is_empty() {
        return Some(f64::NAN);
    }
    match read(rest) {
        Ok((Literal::Number(value), "")) => Some(value),
        Ok((Literal::None, "")) => Some(f64::NAN),
        _ => None,
    }
}

/// `Key: <name>, Value: <number>`.
fn key_and_value(line: &str) -> Option<Figure<'_>> {
    let (name, value) = line.strip_prefix("Key: ")?.split_once(", Value: ")?;
    let value = match read(value) {
        Ok((Literal::Number(value), "")) => value,
        _ => f64::NAN,
    };
    Some(Figure {
        metric: name.to_owned(),
        printed: name,
        value,
    })
}

#[cfg(test)]
mod tests;
