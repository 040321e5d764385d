//! What the output of a round comes to when all of it has been read.

use std::collections::{BTreeMap, BTreeSet};

use flagperf_model::{Measurement, NodeName};
use flagperf_text::{printable, shown};

use crate::Collector;
use crate::classic::parse_result_line;
use crate::collector::{
    Known, MOST_MEASUREMENTS, MOST_RESULT_BYTES, MOST_RESULT_LINES, State, too_many,
};
use crate::declared::{check_declared, decimal_results, is_twin, measurement};
use crate::results::{Found, read_lines};

/// What is known when all output has been read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// The numbers that were printed and that no record gave, with their node.
    pub measurements: Vec<(NodeName, Measurement)>,
    /// The classic result lines as printed, traces of shells left out, with their node.
    pub result_lines: Vec<(NodeName, String)>,
    /// What is not as it should be and was not said before.
    pub warnings: Vec<String>,
    /// The nodes that reported anything: a number, in a record or printed, or words behind the mark of
    /// a classic result line where any words will do.
    pub reporters: BTreeSet<NodeName>,
    /// Of each node with a result that has no number, the first such metric as it was printed.
    pub blank: BTreeMap<NodeName, String>,
}

impl Summary {
    pub(crate) fn of(collector: Collector) -> Self {
        let Collector {
            known, mut state, ..
        } = collector;
        let mut summary = Self {
            reporters: std::mem::take(&mut state.reporters),
            ..Self::default()
        };
        let lines = std::mem::take(&mut state.lines);
        let room = MOST_MEASUREMENTS.saturating_sub(state.measurements);
        if known.dialect.is_tree_of_lines() {
            let (found, more) = read_lines(&known.dialect, &lines, room);
            if more {
                summary.warnings.extend(state.say(too_many(&known.case)));
            }
            summary.add(found, &known, &mut state);
        } else {
            summary.plain(&lines, &known, &mut state, room);
        }
        let found = std::mem::take(&mut state.reader).finish();
        summary.add(found, &known, &mut state);
        if summary.measurements.len() > room {
            summary.warnings.extend(state.say(too_many(&known.case)));
            summary.measurements.truncate(room);
        }
        if state.dropped_lines > 0 {
            summary.warnings.push(format!(
                "{} result lines of `{}` were not kept: more than {MOST_RESULT_LINES} lines or {} MiB",
                state.dropped_lines,
                known.case,
                MOST_RESULT_BYTES >> 20
            ));
        }
        if state.unsaid > 0 {
            summary.warnings.push(format!(
                "{} further warnings about the output of `{}` are left out",
                state.unsaid, known.case
            ));
        }
        let lines = lines.into_iter().map(|(node, _, line)| (node, line));
        summary.result_lines = lines.collect();
        summary
    }

    /// Takes in what a reader found, where no record says the same.
    fn add(&mut self, found: Found, known: &Known, state: &mut State) {
        for (node, number) in found.numbers {
            self.reporters.insert(node.clone());
            if !state.recorded.contains(&number.metric) {
                self.measurements.push((node, number));
            }
        }
        for (node, remark) in found.remarks {
            let text = format!("`{}` on {node}: {remark}", known.case);
            self.warnings.extend(state.say(text));
            if let Some(metric) = remark.blank() {
                self.is_blank(node, metric);
            }
        }
    }

    fn is_blank(&mut self, node: NodeName, metric: &str) {
        let metric = || printable(shown(metric));
        self.blank.entry(node).or_insert_with(metric);
    }

    /// Reads classic result lines as they come.
    fn plain(
        &mut self,
        lines: &[(NodeName, u32, String)],
        known: &Known,
        state: &mut State,
        room: usize,
    ) {
        let decimal = decimal_results(lines);
        for (node, rank, line) in lines {
            let results = parse_result_line(line);
            if results.is_empty() || results.iter().any(|result| result.value.is_some()) {
                self.reporters.insert(node.clone());
            }
            for result in results {
                if is_twin(&decimal, node, &result) {
                    continue;
                }
                if self.measurements.len() >= room {
                    self.warnings.extend(state.say(too_many(&known.case)));
                    continue;
                }
                if result.value.is_none() {
                    self.is_blank(node.clone(), &result.metric);
                }
                match measurement(result, known.layout, *rank, &known.declared) {
                    Ok(number) if state.recorded.contains(&number.metric) => {}
                    Ok(number) => {
                        let warning = check_declared(&known.case, &known.declared, &number);
                        self.warnings
                            .extend(warning.and_then(|text| state.say(text)));
                        self.measurements.push((node.clone(), number));
                    }
                    Err(problem) => {
                        let text = format!("result line `{}`: {problem}", shown(line));
                        self.warnings.extend(state.say(text));
                    }
                }
            }
        }
    }
}
