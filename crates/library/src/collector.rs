//! What a case prints, read as it comes: records, classic result lines, and warnings about both.

use std::collections::{BTreeMap, BTreeSet};

use flagperf_model::{
    CaseName, CaseRecord, Entry, Measurement, MetricDecl, MetricName, NodeName, PlannedCase,
    RECORD_PREFIX, RESULT_PREFIX, RankLayout,
};
use flagperf_text::{printable, shown};

use crate::classic::{is_trace, parse_result_line};
use crate::declared::{adopt_declared, check_declared, decimal_results, is_twin, measurement};
use crate::lines::{Line, Lines, contains};
use crate::sound::mend;

/// Most classic result lines kept of a round of a case.
const MOST_RESULT_LINES: usize = 100_000;

/// Most bytes of classic result lines kept. The usual line has 60.
const MOST_RESULT_BYTES: usize = 32 << 20;

/// A classic result line longer than this is not one, in bytes.
const LONGEST_RESULT_LINE: usize = 4096;

/// Most measurements passed on. More is a fault of the case, and would grow the record without end.
const MOST_MEASUREMENTS: usize = 100_000;

/// Most bytes of records passed on that are kept for good: measurements, notes, failures. A
/// measurement with a thousand repetitions has 20 000.
const MOST_RECORD_BYTES: usize = 64 << 20;

/// Most different warnings given; later ones are counted.
const MOST_WARNINGS: usize = 100;

/// The text that every line of interest has in it.
const MARK: &str = "[FlagPerf Re";

/// Reads a line that carries a record. `None` for any other line.
///
/// # Errors
///
/// In words, why what stands behind the prefix is no record.
pub fn parse_record(line: &str) -> Option<Result<CaseRecord, String>> {
    let json = last_overprint(line)
        .trim_start()
        .strip_prefix(RECORD_PREFIX)?;
    Some(serde_json::from_str(json.trim()).map_err(|error| error.to_string()))
}

/// What is seen of a line on which a progress bar returned the carriage: the last part.
fn last_overprint(line: &str) -> &str {
    let line = line.trim_end_matches(['\r', '\n']);
    line.rsplit('\r').next().unwrap_or(line)
}

/// Something that the output of a case says.
#[derive(Debug, Clone, PartialEq)]
pub enum Collected {
    /// A record.
    Record(CaseRecord),
    /// Something is not as it should be; the case goes on.
    Warning(String),
}

/// What is known when all output has been read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// The numbers of classic result lines whose metric no record gave, with their node.
    pub measurements: Vec<(NodeName, Measurement)>,
    /// The classic result lines as printed, traces of shells left out, with their node.
    pub result_lines: Vec<(NodeName, String)>,
    /// What is not as it should be and was not said before.
    pub warnings: Vec<String>,
    /// True if the case reported any number at all.
    pub reported: bool,
}

/// Reads the output of one round of a case on all its nodes. Its memory is bounded, whatever is
/// printed.
#[derive(Debug)]
pub struct Collector {
    known: Known,
    streams: BTreeMap<(NodeName, u32), Lines>,
    state: State,
}

/// What the plan says of the round.
#[derive(Debug)]
struct Known {
    case: CaseName,
    layout: RankLayout,
    declared: BTreeMap<MetricName, MetricDecl>,
    /// The ranks on each node.
    ranks: BTreeMap<NodeName, BTreeSet<u32>>,
    /// True for a program of the user's own. A built-in measurement describes itself in other words
    /// than the case that uses it, and nobody is to be warned of that.
    program: bool,
}

/// All that changes but the streams, so that a stream can be read meanwhile.
#[derive(Debug, Default)]
struct State {
    /// Lines kept, with the rank of the process that printed each.
    lines: Vec<(NodeName, u32, String)>,
    bytes: usize,
    dropped_lines: u64,
    measurements: usize,
    record_bytes: usize,
    recorded: BTreeSet<MetricName>,
    warned: BTreeSet<String>,
    unsaid: u64,
}

impl Collector {
    /// A collector for one round of a case.
    pub fn new(case: &PlannedCase) -> Self {
        let spec = &case.spec;
        let mut ranks: BTreeMap<NodeName, BTreeSet<u32>> = BTreeMap::new();
        for task in &case.tasks {
            let of_node = ranks.entry(task.node.clone()).or_default();
            of_node.extend(task.processes.iter().map(|process| process.rank));
        }
        Self {
            known: Known {
                case: spec.name.clone(),
                layout: spec.ranks,
                declared: spec
                    .metrics
                    .iter()
                    .map(|decl| (decl.name.clone(), decl.clone()))
                    .collect(),
                ranks,
                program: matches!(spec.entry, Entry::Argv(_)),
            },
            streams: BTreeMap::new(),
            state: State::default(),
        }
    }

    /// Takes output of a rank on a node, cut anywhere, and returns what it says.
    pub fn feed(&mut self, node: &NodeName, rank: u32, bytes: &[u8]) -> Vec<Collected> {
        let mut out = Vec::new();
        let Self {
            known,
            streams,
            state,
        } = self;
        let stream = streams
            .entry((node.clone(), rank))
            .or_insert_with(|| Lines::with(MARK));
        stream.feed(bytes, |line| state.line(known, node, rank, line, &mut out));
        out
    }

    /// Reads what is left and turns classic lines into measurements. The first part is what the
    /// last lines say, with the node of each.
    pub fn finish(mut self) -> (Vec<(NodeName, Collected)>, Summary) {
        let mut last = Vec::new();
        for ((node, rank), stream) in &mut self.streams {
            let mut out = Vec::new();
            stream.finish(|line| {
                self.state.line(&self.known, node, *rank, line, &mut out);
            });
            last.extend(out.into_iter().map(|one| (node.clone(), one)));
        }
        let summary = self.summarise();
        (last, summary)
    }

    fn summarise(self) -> Summary {
        let Self {
            known, mut state, ..
        } = self;
        let Known {
            case,
            layout,
            declared,
            ..
        } = known;
        let mut measurements = Vec::new();
        let mut warnings = Vec::new();
        let lines = std::mem::take(&mut state.lines);
        let decimal = decimal_results(&lines);
        for (node, rank, line) in &lines {
            for result in parse_result_line(line) {
                if is_twin(&decimal, node, &result) {
                    continue;
                }
                if state.measurements + measurements.len() >= MOST_MEASUREMENTS {
                    warnings.extend(state.say(too_many(&case)));
                    continue;
                }
                match measurement(result, layout, *rank, &declared) {
                    Ok(number) if state.recorded.contains(&number.metric) => {}
                    Ok(number) => {
                        let warning = check_declared(&case, &declared, &number);
                        warnings.extend(warning.and_then(|text| state.say(text)));
                        measurements.push((node.clone(), number));
                    }
                    Err(problem) => {
                        let text = format!("result line `{}`: {problem}", shown(line));
                        warnings.extend(state.say(text));
                    }
                }
            }
        }
        if state.dropped_lines > 0 {
            warnings.push(format!(
                "{} result lines of `{case}` were not kept: more than {MOST_RESULT_LINES} lines or {} MiB",
                state.dropped_lines,
                MOST_RESULT_BYTES >> 20
            ));
        }
        if state.unsaid > 0 {
            warnings.push(format!(
                "{} further warnings about the output of `{case}` are left out",
                state.unsaid
            ));
        }
        Summary {
            reported: state.measurements > 0 || !measurements.is_empty(),
            measurements,
            result_lines: lines
                .into_iter()
                .map(|(node, _, line)| (node, line))
                .collect(),
            warnings,
        }
    }
}

impl State {
    fn line(
        &mut self,
        known: &Known,
        node: &NodeName,
        rank: u32,
        line: Line<'_>,
        out: &mut Vec<Collected>,
    ) {
        // When no more classic lines are kept, a flood of them should cost next to nothing.
        if self.lines_are_full(0) && !contains(line.bytes, RECORD_PREFIX.as_bytes()) {
            self.dropped_lines += 1;
            return;
        }
        let text = String::from_utf8_lossy(line.bytes);
        if line.cut {
            let warning = format!(
                "a line of rank {rank} on {node} is longer than 1 MiB and was not read: `{}`",
                shown(&text)
            );
            out.extend(self.say(warning).map(Collected::Warning));
            return;
        }
        if let Some(record) = parse_record(&text) {
            let passing = matches!(
                record,
                Ok(CaseRecord::Phase { .. } | CaseRecord::Live { .. }) | Err(_)
            );
            if !passing && self.record_bytes + text.len() > MOST_RECORD_BYTES {
                let text = format!(
                    "`{}` printed more than {} MiB of records; later ones are not kept",
                    known.case,
                    MOST_RECORD_BYTES >> 20
                );
                out.extend(self.say(text).map(Collected::Warning));
                return;
            }
            if !passing {
                self.record_bytes += text.len();
            }
            self.record(known, node, rank, record, out);
        } else {
            self.classic(node, rank, last_overprint(&text), out);
        }
    }

    fn record(
        &mut self,
        known: &Known,
        node: &NodeName,
        rank: u32,
        record: Result<CaseRecord, String>,
        out: &mut Vec<Collected>,
    ) {
        let mut record = match record {
            Ok(record) => record,
            Err(problem) => {
                let text = format!(
                    "a record of rank {rank} on {node} cannot be read: {}",
                    shown(&problem)
                );
                out.extend(self.say(text).map(Collected::Warning));
                return;
            }
        };
        let ranks = known.ranks.get(node);
        if let Some(named) = rank_of(&record)
            && ranks.is_none_or(|ranks| !ranks.contains(&named))
        {
            let problem = format!(
                "rank {rank} on {node} reported something of rank {named}, which that node does not have"
            );
            // Why a case fails is worth more than who says so.
            let done = if let CaseRecord::Failure { rank: named, .. } = &mut record {
                *named = rank;
                "it is taken to be its own"
            } else {
                "it is left out"
            };
            let text = format!("{problem}; {done}");
            out.extend(self.say(text).map(Collected::Warning));
            if !matches!(record, CaseRecord::Failure { .. }) {
                return;
            }
        }
        if let CaseRecord::Measurement(number) = &mut record {
            if self.measurements >= MOST_MEASUREMENTS {
                out.extend(self.say(too_many(&known.case)).map(Collected::Warning));
                return;
            }
            let mut texts = match mend(number) {
                Ok(texts) => texts,
                Err(problem) => {
                    let text = format!("rank {rank} on {node}: {problem}");
                    out.extend(self.say(text).map(Collected::Warning));
                    return;
                }
            };
            for text in &mut texts {
                *text = format!("rank {rank} on {node}: {text}");
            }
            self.measurements += 1;
            self.recorded.insert(number.metric.clone());
            texts.extend(check_declared(&known.case, &known.declared, number));
            let adopted = adopt_declared(&known.case, &known.declared, number);
            if known.program {
                texts.extend(adopted);
            }
            let said = texts.into_iter().filter_map(|text| self.say(text));
            out.extend(said.map(Collected::Warning));
        }
        out.push(Collected::Record(record));
    }

    fn classic(&mut self, node: &NodeName, rank: u32, line: &str, out: &mut Vec<Collected>) {
        let line = line.trim();
        let Some((before, _)) = line.split_once(RESULT_PREFIX) else {
            return;
        };
        if is_trace(before) {
            return;
        }
        if line.len() > LONGEST_RESULT_LINE {
            let text = format!(
                "a result line of rank {rank} on {node} is longer than {LONGEST_RESULT_LINE} bytes and was not read"
            );
            out.extend(self.say(text).map(Collected::Warning));
            return;
        }
        if self.lines_are_full(line.len()) {
            self.dropped_lines += 1;
            return;
        }
        self.bytes += line.len();
        self.lines.push((node.clone(), rank, line.to_owned()));
    }

    fn lines_are_full(&self, more: usize) -> bool {
        self.lines.len() >= MOST_RESULT_LINES || self.bytes + more > MOST_RESULT_BYTES
    }

    /// The warning, fit for a terminal, unless it was given before or too many were.
    fn say(&mut self, text: String) -> Option<String> {
        let text = printable(text);
        if self.warned.contains(&text) {
            return None;
        }
        if self.warned.len() >= MOST_WARNINGS {
            self.unsaid += 1;
            return None;
        }
        self.warned.insert(text.clone());
        Some(text)
    }
}

/// The rank that a record names.
fn rank_of(record: &CaseRecord) -> Option<u32> {
    match record {
        CaseRecord::Phase { rank, .. }
        | CaseRecord::Live { rank, .. }
        | CaseRecord::Failure { rank, .. }
        | CaseRecord::Note { rank, .. } => Some(*rank),
        CaseRecord::Measurement(number) => number.rank,
        CaseRecord::Unsupported { .. } => None,
    }
}

fn too_many(case: &CaseName) -> String {
    format!("`{case}` reported more than {MOST_MEASUREMENTS} measurements; later ones are not kept")
}
