//! The view model that terminal, HTML and Markdown share: cases with their rounds, and the rows of
//! the table of results.

use flagperf_model::{
    CaseName, CaseResult, Measurement, MetricName, NodeName, Outcome, PlannedCase, RunState, Spread,
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
    /// True if the run shows several nodes, whose names must then stand beside numbers.
    several_nodes: bool,
    running: bool,
}

/// A number of the table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    pub(crate) number: f64,
    pub(crate) unit: String,
    /// Over repetitions, or over rounds for a median over rounds.
    pub(crate) spread: Option<Spread>,
}

/// A row of the table of results.
#[derive(Debug, Clone)]
pub(crate) struct Row<'a> {
    /// 0 for a case, 1 for what belongs to it, 2 for what belongs to that.
    pub(crate) depth: usize,
    pub(crate) label: String,
    pub(crate) value: Option<Value>,
    /// Stands behind the number, or in its place: why there is none.
    pub(crate) text: Option<String>,
    /// How it ended; on rows of cases, and of rounds where there are several.
    pub(crate) outcome: Option<&'a Outcome>,
    /// The measurement behind the number, unless it is a median over rounds.
    pub(crate) measurement: Option<&'a Measurement>,
}

/// One number's key over the rounds: metric, node, rank, device.
type Key<'a> = (&'a MetricName, &'a NodeName, Option<u32>, Option<&'a str>);

/// All cases in the order of the plan, then those that only the results know.
pub(crate) fn cases(run: &RunData) -> Vec<CaseView<'_>> {
    let record = &run.record;
    let mut views: Vec<CaseView<'_>> = Vec::new();
    let mut add = |name, planned, result| {
        let at = views.iter().position(|view| view.name == name);
        let at = at.unwrap_or_else(|| {
            views.push(CaseView {
                name,
                planned,
                rounds: Vec::new(),
                several_nodes: record.plan.nodes.len() > 1,
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

    /// True if the case declared this metric as the one that stands for it, or, where nothing is
    /// declared, if it was reported first.
    fn is_primary(&self, metric: &MetricName) -> bool {
        let declared = self
            .planned
            .and_then(|planned| planned.spec.metrics.iter().find(|decl| decl.primary))
            .map(|decl| &decl.name)
            .filter(|name| self.all().any(|(_, m)| m.metric == **name));
        declared.or_else(|| self.all().next().map(|(_, m)| &m.metric)) == Some(metric)
    }

    fn all(&self) -> impl Iterator<Item = (&'a NodeName, &'a Measurement)> + use<'a, '_> {
        self.rounds
            .iter()
            .flat_map(|(_, result)| result.measurements.iter().map(|(node, m)| (node, m)))
    }

    /// The case's rows of the table of results.
    pub(crate) fn rows(&self) -> Vec<Row<'a>> {
        let mut keys: Vec<Key<'a>> = Vec::new();
        for (node, m) in self.all() {
            let key = (&m.metric, node, m.rank, m.device.as_deref());
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let (primary, secondary): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|key| self.is_primary(key.0));
        let rounds = self.rounds.len() > 1;

        let mut head = Row {
            depth: 0,
            label: self.name.to_string(),
            value: None,
            text: None,
            outcome: self.outcome(),
            measurement: None,
        };
        let mut rows = Vec::new();
        if let [only] = primary.as_slice() {
            let over = self.over_rounds(*only);
            head.value = over.value;
            head.measurement = over.measurement;
            if rounds {
                self.round_rows(*only, 1, &mut rows);
            }
        } else {
            for key in &primary {
                let over = self.over_rounds(*key);
                rows.push(Row {
                    depth: 1,
                    label: self.whose(*key),
                    ..over
                });
                if rounds {
                    self.round_rows(*key, 2, &mut rows);
                }
            }
        }
        head.text = if primary.is_empty() {
            self.reason()
        } else {
            None
        };
        let several = primary.len() > 1;
        for key in secondary {
            let mut label = self.short_name(key.0);
            if several {
                label = format!("{label}, {}", self.whose(key));
            } else if let (Some(device), [only]) = (key.3, primary.as_slice())
                && only.3 != Some(device)
            {
                // A link between two nodes, where the case as a whole has all of them.
                label = format!("{label} {device}");
            }
            rows.push(Row {
                depth: 1,
                label,
                ..self.over_rounds(key)
            });
        }
        rows.insert(0, head);
        rows
    }

    fn round_rows(&self, key: Key<'a>, depth: usize, rows: &mut Vec<Row<'a>>) {
        for (_, result) in &self.rounds {
            let m = find(result, key);
            rows.push(Row {
                depth,
                label: format!("round {}", result.round),
                value: m.map(value_of),
                text: m.is_none().then(|| result.outcome.to_string()),
                outcome: Some(&result.outcome),
                measurement: m,
            });
        }
    }

    /// A metric's number over all rounds: the number itself for one round, the median for several.
    fn over_rounds(&self, key: Key<'a>) -> Row<'a> {
        let found: Vec<&Measurement> = self
            .rounds
            .iter()
            .filter_map(|(_, result)| find(result, key))
            .collect();
        let values: Vec<f64> = found.iter().map(|m| m.value).collect();
        let (value, measurement) = match found.as_slice() {
            [] => (None, None),
            [only] if self.rounds.len() == 1 => (Some(value_of(only)), Some(*only)),
            [first, ..] => {
                let spread = Spread::of(&values);
                let median = spread.map_or(first.value, |spread| spread.median);
                let value = Value {
                    number: median,
                    unit: first.unit.to_string(),
                    spread,
                };
                (Some(value), None)
            }
        };
        Row {
            depth: 1,
            label: String::new(),
            value,
            text: None,
            outcome: None,
            measurement,
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

    fn whose(&self, (_, node, rank, device): Key<'_>) -> String {
        let mut parts = Vec::new();
        if self.several_nodes {
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

fn find<'a>(result: &'a CaseResult, key: Key<'_>) -> Option<&'a Measurement> {
    result
        .measurements
        .iter()
        .find(|(node, m)| (&m.metric, node, m.rank, m.device.as_deref()) == key)
        .map(|(_, m)| m)
}

fn value_of(m: &Measurement) -> Value {
    Value {
        number: m.value,
        unit: m.unit.to_string(),
        spread: m.spread,
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
    /// Processor time of the samplers over the time they ran: a share of one core.
    pub(crate) share: f64,
    pub(crate) samples: u64,
    pub(crate) late: u64,
}

impl Cost {
    /// `None` if no monitor reported what it cost.
    pub(crate) fn of<'a>(results: impl IntoIterator<Item = &'a CaseResult>) -> Option<Self> {
        let (mut cpu, mut wall, mut samples, mut late) = (0.0, 0.0, 0, 0);
        for result in results {
            for (_, cost) in &result.monitor_cost {
                cpu += cost.sampler_cpu_s;
                wall += cost.wall_s;
                samples += cost.samples;
                late += cost.late;
            }
        }
        (wall > 0.0).then(|| Self {
            share: cpu / wall,
            samples,
            late,
        })
    }

    /// `monitors used 0.034 % of one core; 312 samples, none late`.
    pub(crate) fn words(&self) -> String {
        let late = if self.late == 0 {
            "none late".to_owned()
        } else {
            format!("{} late or missed", self.late)
        };
        format!(
            "monitors used {} % of one core; {} samples, {late}",
            crate::number::small_percent(self.share),
            self.samples,
        )
    }
}

/// One line on a node: processor, cores, memory, system.
pub(crate) fn machine_line(facts: &flagperf_model::MachineFacts) -> String {
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
