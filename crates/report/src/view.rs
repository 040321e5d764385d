//! The view model that terminal, HTML and Markdown share: cases with their rounds, and what is said
//! of a run as a whole. [`crate::rows`] makes the table of results of it.

use std::collections::HashMap;
use std::rc::Rc;

use flagperf_model::{
    Absent, CaseName, CaseResult, ChipFacts, MetricName, NodeName, NodeRecord, Outcome,
    PlannedCase, RunState, fold,
};

use crate::RunData;
use crate::number::count;

/// A case with the rounds of it that ended.
#[derive(Debug, Clone)]
pub(crate) struct CaseView<'a> {
    pub(crate) name: &'a CaseName,
    /// What was planned; absent if the plan is damaged.
    pub(crate) planned: Option<&'a PlannedCase>,
    /// The index of each result in the record, and the result, by round.
    pub(crate) rounds: Vec<(usize, &'a CaseResult)>,
    /// The nodes of the run and their places in its list.
    pub(crate) places: Rc<HashMap<&'a NodeName, usize>>,
    running: bool,
}

/// All cases in the order of the plan, then those that only the results know.
pub(crate) fn cases(run: &RunData) -> Vec<CaseView<'_>> {
    let record = &run.record;
    let nodes = record.plan.nodes.iter().enumerate();
    let places = Rc::new(nodes.map(|(place, node)| (&node.name, place)).collect());
    let mut views: Vec<CaseView<'_>> = Vec::new();
    let mut add = |name, planned, result| {
        let at = views.iter().position(|view| view.name == name);
        let at = at.unwrap_or_else(|| {
            views.push(CaseView {
                name,
                planned,
                rounds: Vec::new(),
                places: Rc::clone(&places),
                running: record.state == RunState::Running,
            });
            views.len() - 1
        });
        views[at].rounds.extend(result);
    };
    for planned in &record.plan.cases {
        add(planned.name(), Some(planned), None);
    }
    for (index, result) in record.results.iter().enumerate() {
        add(&result.case, None, Some((index, result)));
    }
    views
}

impl<'a> CaseView<'a> {
    /// The outcome to show for the whole case: the first failure, else the last round's.
    pub(crate) fn outcome(&self) -> Option<&'a Outcome> {
        let outcomes = || self.rounds.iter().map(|(_, result)| &result.outcome);
        outcomes()
            .find(|outcome| outcome.is_failure())
            .or_else(|| outcomes().next_back())
    }

    /// One word on how the case ended, or how many of its rounds ended well.
    pub(crate) fn state(&self) -> String {
        let Some(outcome) = self.outcome() else {
            return if self.running {
                "cut off".to_owned()
            } else {
                "no result".to_owned()
            };
        };
        let count = self.rounds.len();
        let passed = self
            .rounds
            .iter()
            .filter(|(_, result)| result.outcome == Outcome::Passed)
            .count();
        if count > 1 && passed > 0 && outcome.is_failure() {
            format!("{} ({passed} of {count} passed)", outcome.word())
        } else if count > 1
            && self
                .rounds
                .iter()
                .all(|(_, result)| result.outcome.word() == outcome.word())
        {
            format!("{} ({count} rounds)", outcome.word())
        } else {
            outcome.word().to_owned()
        }
    }

    /// Why there is no number, for a case that has none.
    pub(crate) fn reason(&self) -> Option<String> {
        match self.outcome() {
            None if self.running => Some("the record ends before it did".to_owned()),
            None => Some("the record holds no result of it".to_owned()),
            Some(Outcome::Passed) => None,
            Some(outcome) => Some(outcome.to_string()),
        }
    }

    /// A metric's name without the case's name in front of it.
    pub(crate) fn short_name(&self, metric: &MetricName) -> String {
        metric
            .as_str()
            .strip_prefix(self.name.as_str())
            .and_then(|rest| rest.strip_prefix(['-', ':', '.', '_', '/']))
            .filter(|rest| !rest.is_empty())
            .unwrap_or(metric.as_str())
            .to_owned()
    }
}

/// How many rounds of cases ended in which way.
pub(crate) struct Tally {
    /// The word of each kind of end that occurs, with its count; `passed` first.
    pub(crate) counts: Vec<(&'static str, usize)>,
    /// True if any round failed or has no result.
    pub(crate) failed: bool,
}

impl Tally {
    pub(crate) fn of(run: &RunData) -> Self {
        let results = &run.record.results;
        let mut counts = vec![("passed", 0)];
        let mut count = |word, more| match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += more,
            None => counts.push((word, more)),
        };
        for result in results {
            count(result.outcome.word(), 1);
        }
        let silent = run.record.plan.cases.len().saturating_sub(results.len());
        count("without a result", silent);
        counts.retain(|(_, count)| *count > 0);
        Self {
            counts,
            failed: silent > 0 || results.iter().any(|r| r.outcome.is_failure()),
        }
    }

    /// `6 passed, 1 failed, 2 not supported`.
    pub(crate) fn words(&self) -> String {
        self.counts
            .iter()
            .map(|(word, count)| format!("{count} {word}"))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// What all monitors of a run cost together.
pub(crate) struct Cost {
    /// Processor time of the chips' status tools over the time they ran: a share of one core. `None` where there
    /// were none.
    pub(crate) tools: Option<f64>,
    pub(crate) chip_samples: u64,
    pub(crate) chip_gaps: u64,
    /// Processor time of the samplers over the time they ran: a share of one core.
    pub(crate) share: f64,
    pub(crate) samples: u64,
    pub(crate) late: u64,
}

impl Cost {
    /// `None` if no monitor reported what it cost.
    pub(crate) fn of<'a>(results: impl IntoIterator<Item = &'a CaseResult>) -> Option<Self> {
        let (mut cpu, mut wall, mut samples, mut late) = (0.0, 0.0, 0, 0);
        // Only of nodes that have chips.
        let (mut tool_cpu, mut tool_wall, mut chip_samples, mut chip_gaps) = (0.0, 0.0, 0, 0);
        for result in results {
            for (_, cost) in &result.monitor_cost {
                cpu += cost.sampler_cpu_s;
                wall += cost.wall_s;
                samples += cost.samples;
                late += cost.late;
                if cost.chip_samples > 0 || cost.chip_gaps > 0 {
                    tool_cpu += cost.tool_cpu_s;
                    tool_wall += cost.wall_s;
                    chip_samples += cost.chip_samples;
                    chip_gaps += cost.chip_gaps;
                }
            }
        }
        (wall > 0.0).then(|| Self {
            share: cpu / wall,
            tools: (tool_wall > 0.0).then(|| tool_cpu / tool_wall),
            chip_samples,
            chip_gaps,
            samples,
            late,
        })
    }

    /// `monitors used 0.034 % of one core; 312 samples, none late`, and where there are chips also `the chips' status
    /// tool 1.2 %; 310 samples, no gap`.
    pub(crate) fn words(&self) -> String {
        let late = if self.late == 0 {
            "none late".to_owned()
        } else {
            format!("{} late or missed", self.late)
        };
        let share = crate::number::small_percent;
        let mut words = vec![format!(
            "monitors used {} % of one core; {} samples, {late}",
            share(self.share),
            self.samples,
        )];
        if let Some(tools) = self.tools {
            let gaps = match self.chip_gaps {
                0 => "no gap".to_owned(),
                gaps => count(gaps as usize, "gap"),
            };
            words.push(format!(
                "the chips' status tool used {} %; {} samples, {gaps}",
                share(tools),
                self.chip_samples,
            ));
        }
        words.join("; ")
    }
}

/// Up to this many nodes, and numbers of one metric, each have a line of their own; of more, what
/// they have in common is told, and which stand out.
pub(crate) const APART: usize = 8;

/// The nodes of a run with what each is, in a line. Of many nodes those of which the same is to be
/// said share a line, below all their names.
pub(crate) fn machine_lines(nodes: &[NodeRecord]) -> Vec<(String, String)> {
    let mut groups: Vec<(Vec<NodeName>, String)> = Vec::new();
    for node in nodes {
        let line = match (&node.facts, &node.bad) {
            (_, Some(bad)) => format!("cannot take part: {}", bad.reason),
            (Some(facts), None) => machine_line(facts),
            (None, None) => "did not answer".to_owned(),
        };
        let known = groups.iter_mut().find(|(_, known)| *known == line);
        match known.filter(|_| nodes.len() > APART) {
            Some((names, _)) => names.push(node.name.clone()),
            None => groups.push((vec![node.name.clone()], line)),
        }
    }
    let whole = groups.into_iter().map(|(names, line)| match names.len() {
        1 => (fold(&names), line),
        n => (format!("{} ({n} nodes)", fold(&names)), line),
    });
    whole.collect()
}

/// What nodes do not record, each with the nodes it is missing on.
pub(crate) fn absences(nodes: &[NodeRecord]) -> Vec<(&Absent, Vec<NodeName>)> {
    let mut absent: Vec<(&Absent, Vec<NodeName>)> = Vec::new();
    for node in nodes {
        for gone in &node.absent {
            match absent.iter_mut().find(|(known, _)| *known == gone) {
                Some((_, nodes)) => nodes.push(node.name.clone()),
                None => absent.push((gone, vec![node.name.clone()])),
            }
        }
    }
    absent
}

/// The chips of a node, those that are alike together: `8 × NVIDIA H100 80GB HBM3 with 79.6 GiB, driver 550.54.15`.
pub(crate) fn chip_words(chips: &[ChipFacts]) -> Vec<String> {
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for chip in chips {
        let name = chip.name.clone();
        let name = name.unwrap_or_else(|| format!("{} chip", chip.vendor));
        let memory = chip.memory_bytes.map(crate::number::bytes);
        let memory = memory.map(|memory| format!(" with {memory}"));
        let driver = chip.driver.as_ref();
        let driver = driver.map(|driver| format!(", driver {driver}"));
        let words = [Some(name), memory, driver].into_iter().flatten();
        let words: String = words.collect();
        match kinds.iter_mut().find(|(known, _)| *known == words) {
            Some((_, count)) => *count += 1,
            None => kinds.push((words, 1)),
        }
    }
    let words = kinds
        .into_iter()
        .map(|(words, count)| format!("{count} × {words}"));
    words.collect()
}

/// One line on a node: processor, cores, memory, system.
fn machine_line(facts: &flagperf_model::MachineFacts) -> String {
    let cpu = &facts.cpu;
    let mut parts = Vec::new();
    parts.extend(cpu.model.clone());
    if cpu.threads > 0 {
        parts.push(count(cpu.cores as usize, "core"));
        parts.push(count(cpu.threads as usize, "thread"));
    }
    if facts.memory.total > 0 {
        parts.push(crate::number::bytes(facts.memory.total));
    }
    parts.extend(chip_words(&facts.chips));
    parts.extend(facts.os.clone());
    if !facts.kernel.is_empty() {
        parts.push(format!("Linux {}", facts.kernel));
    }
    parts.join(", ")
}

/// True for characters that act on what shows a text instead of being shown: control characters,
/// and marks that reorder text.
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text of other programs made safe to show on one line: an invisible character, and with it an
/// escape sequence that could move a cursor or change a title, becomes U+FFFD; a tab four spaces.
pub(crate) fn printable(text: &str) -> String {
    text.replace('\t', "    ")
        .chars()
        .map(|c| if is_invisible(c) { '\u{fffd}' } else { c })
        .collect()
}
