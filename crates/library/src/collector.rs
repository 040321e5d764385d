//! What a case prints, read as it comes: records, classic result lines, and warnings about both.

use std::collections::{BTreeMap, BTreeSet};

use flagperf_model::{
    CaseName, CaseRecord, Entry, MetricDecl, MetricName, NodeName, NodeScope, Phase, PlannedCase,
    RECORD_PREFIX, RESULT_PREFIX, RankLayout,
};
use flagperf_text::{printable, shown};

use crate::classic::is_trace;
use crate::declared::{adopt_declared, check_declared};
use crate::lines::{Line, Lines, contains};
use crate::results::{Dialect, Reader, heading};
use crate::sound::mend;
use crate::summary::Summary;

/// Most classic result lines kept of a round of a case.
pub(crate) const MOST_RESULT_LINES: usize = 100_000;

/// Most bytes of classic result lines kept. The usual line has 60.
pub(crate) const MOST_RESULT_BYTES: usize = 32 << 20;

/// A classic result line longer than this is not one, in bytes.
const LONGEST_RESULT_LINE: usize = 4096;

/// Most measurements passed on. More is a fault of the case, and would grow the record without end.
pub(crate) const MOST_MEASUREMENTS: usize = 100_000;

/// Most bytes of records passed on that are kept for good: measurements, notes, failures. A
/// measurement with a thousand repetitions has 20 000.
const MOST_RECORD_BYTES: usize = 64 << 20;

/// Most different warnings given; later ones are counted.
const MOST_WARNINGS: usize = 100;

/// The text that every record and every classic result line has in it.
pub(crate) const MARK: &str = "[FlagPerf Re";

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
    /// A rank enters a phase, by the log of a case that knows no records. The moment is now.
    Entered {
        /// The rank that says so.
        rank: u32,
        /// The phase that begins.
        phase: Phase,
    },
    /// Something is not as it should be; the case goes on.
    Warning(String),
}

/// Reads the output of one round of a case on all its nodes. Its memory is bounded, whatever is
/// printed.
#[derive(Debug)]
pub struct Collector {
    pub(crate) known: Known,
    streams: BTreeMap<(NodeName, u32), Lines>,
    pub(crate) state: State,
}

/// What the plan says of the round.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) case: CaseName,
    pub(crate) dialect: Dialect,
    pub(crate) layout: RankLayout,
    pub(crate) declared: BTreeMap<MetricName, MetricDecl>,
    /// The ranks on each node.
    ranks: BTreeMap<NodeName, BTreeSet<u32>>,
    /// True for a program of the user's own. A built-in measurement describes itself in other words
    /// than the case that uses it, and nobody is to be warned of that.
    program: bool,
}

/// All that changes but the streams, so that a stream can be read meanwhile.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Lines kept, with the rank of the process that printed each.
    pub(crate) lines: Vec<(NodeName, u32, String)>,
    bytes: usize,
    pub(crate) dropped_lines: u64,
    pub(crate) measurements: usize,
    record_bytes: usize,
    pub(crate) recorded: BTreeSet<MetricName>,
    /// The nodes with a record of a number.
    pub(crate) reporters: BTreeSet<NodeName>,
    /// Reads what the dialect has beside records and classic lines.
    pub(crate) reader: Reader,
    warned: BTreeSet<String>,
    pub(crate) unsaid: u64,
}

impl Collector {
    /// A collector for one round of a case, which prints its results as its kind does.
    pub fn new(case: &PlannedCase) -> Self {
        Self::reading(case, Dialect::of(&case.spec.entry))
    }

    /// A collector for one round of a case that prints its results in this way.
    pub fn reading(case: &PlannedCase, dialect: Dialect) -> Self {
        let spec = &case.spec;
        let reader = Reader::new(&dialect, spec.nodes == NodeScope::All);
        let mut ranks: BTreeMap<NodeName, BTreeSet<u32>> = BTreeMap::new();
        for task in &case.tasks {
            let of_node = ranks.entry(task.node.clone()).or_default();
            of_node.extend(task.processes.iter().map(|process| process.rank));
        }
        Self {
            known: Known {
                case: spec.name.clone(),
                dialect,
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
            state: State {
                reader,
                ..State::default()
            },
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
            .or_insert_with(|| Lines::with(known.dialect.marks()));
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
        let summary = Summary::of(self);
        (last, summary)
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
        let marked = matches!(self.reader, Reader::None) || contains(line.bytes, MARK.as_bytes());
        // When no more classic lines are kept, a flood of them should cost next to nothing.
        if marked && self.lines_are_full(0) && !contains(line.bytes, RECORD_PREFIX.as_bytes()) {
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
            let text = last_overprint(&text);
            if marked {
                self.classic(known, node, rank, text, out);
            }
            self.reader.line(node, rank, text, out);
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
            self.reporters.insert(node.clone());
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

    fn classic(
        &mut self,
        known: &Known,
        node: &NodeName,
        rank: u32,
        line: &str,
        out: &mut Vec<Collected>,
    ) {
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
        if known.dialect == Dialect::Operation
            && let Some(operator) = heading(line)
        {
            out.push(Collected::Record(CaseRecord::Note {
                rank,
                key: "operator".to_owned(),
                value: operator.to_owned(),
            }));
        }
        self.bytes += line.len();
        self.lines.push((node.clone(), rank, line.to_owned()));
    }

    fn lines_are_full(&self, more: usize) -> bool {
        self.lines.len() >= MOST_RESULT_LINES || self.bytes + more > MOST_RESULT_BYTES
    }

    /// The warning, fit for a terminal, unless it was given before or too many were.
    pub(crate) fn say(&mut self, text: String) -> Option<String> {
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

pub(crate) fn too_many(case: &CaseName) -> String {
    format!("`{case}` reported more than {MOST_MEASUREMENTS} measurements; later ones are not kept")
}
