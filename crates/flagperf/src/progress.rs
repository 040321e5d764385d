//! What a person sees while a run goes on: one line a case, on standard error.
//!
//! On a terminal the line of the running case is redrawn with the time left and the value so far,
//! only when something happens, which is at least with every sample of the monitors: a clock that ticks
//! by itself would use the processors that are being measured. Elsewhere there are plain lines with the
//! time of day.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Write;

use flagperf_model::{
    Event, EventKind, NodeName, Outcome, Phase, PlannedCase, StepKind, StepOutcome, Timestamp,
    median,
};
use jiff::tz::TimeZone;
use owo_colors::OwoColorize;

/// Progress of one run.
pub(crate) struct Progress {
    /// True if standard error is a terminal, where the line of the running case is redrawn.
    on_terminal: bool,
    total: u32,
    ended: u32,
    current: Option<Current>,
    /// What the line of the running case says now.
    drawn: RefCell<String>,
}

/// The running case.
struct Current {
    label: String,
    started: Timestamp,
    expected_s: Option<f64>,
    limit_s: f64,
    phase: &'static str,
    /// `171.3 GFLOPS`, when the case has said so.
    value: Option<String>,
    /// Seconds of measurement to come, and when the case said so.
    remaining: Option<(f64, Timestamp)>,
    /// The metric that stands for the case: the declared one, else the first that is told.
    primary: Option<String>,
    /// On how many nodes it runs.
    nodes: usize,
    results: Vec<Number>,
}

/// A final number, and whose it is.
struct Number {
    node: NodeName,
    rank: Option<u32>,
    value: f64,
    unit: String,
}

impl Progress {
    pub(crate) fn new(on_terminal: bool) -> Self {
        Self {
            on_terminal,
            total: 0,
            ended: 0,
            current: None,
            drawn: RefCell::default(),
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&self, now: Timestamp) {
        self.redraw(now);
    }

    pub(crate) fn case_begins(&mut self, case: &PlannedCase) {
        let name = case.name();
        let label = if case.rounds > 1 {
            format!("{name} (round {} of {})", case.round, case.rounds)
        } else {
            name.to_string()
        };
        let primary = case.spec.metrics.iter().find(|metric| metric.primary);
        self.current = Some(Current {
            label,
            started: Timestamp::default(),
            expected_s: case.expected_s,
            limit_s: case.limits.timeout_s,
            phase: "running",
            value: None,
            remaining: None,
            primary: primary.map(|metric| metric.name.to_string()),
            nodes: case.tasks.len(),
            results: Vec::new(),
        });
    }

    pub(crate) fn event(&mut self, event: &Event) {
        match &event.what {
            EventKind::RunStarted {
                cases, directory, ..
            } => {
                self.total = *cases;
                self.say(event.at, &format!("recording in {directory}"));
            }
            EventKind::CaseStarted { index, .. } => {
                if let Some(current) = &mut self.current {
                    current.started = event.at;
                    current.label = format!("[{index}/{}] {}", self.total, current.label);
                }
                if !self.on_terminal
                    && let Some(current) = &self.current
                {
                    let text = match current.expected_s {
                        Some(seconds) => {
                            format!("{}: started, about {seconds:.0} s", current.label)
                        }
                        None => format!("{}: started", current.label),
                    };
                    self.say(event.at, &text);
                }
            }
            EventKind::Phase { rank: 0, phase, .. } => {
                if let Some(current) = &mut self.current {
                    current.phase = match phase {
                        Phase::Prepare => "preparing",
                        Phase::Warmup => "warming up",
                        Phase::Measure => "measuring",
                        Phase::Verify => "checking",
                        Phase::End => "ending",
                    };
                }
            }
            EventKind::Live {
                rank: 0,
                node,
                value,
                unit,
                remaining_s,
                ..
            } => {
                if let Some(current) = &mut self.current {
                    let number = format!("{} {}", significant(*value), clean(unit.as_str()));
                    current.value = Some(if current.nodes > 1 {
                        format!("{number} on {node}")
                    } else {
                        number
                    });
                    current.remaining = Some((*remaining_s, event.at));
                }
            }
            EventKind::Measured {
                node, measurement, ..
            } => {
                if let Some(current) = &mut self.current {
                    let metric = measurement.metric.as_str();
                    let primary = current.primary.get_or_insert_with(|| metric.to_owned());
                    if primary.as_str() == metric {
                        current.results.push(Number {
                            node: node.clone(),
                            rank: measurement.rank,
                            value: measurement.value,
                            unit: clean(measurement.unit.as_str()),
                        });
                    }
                }
            }
            EventKind::CaseEnded {
                case,
                outcome,
                seconds,
                ..
            } => self.ended(event.at, case.as_str(), outcome, *seconds),
            EventKind::Warning { message } => {
                self.say(
                    event.at,
                    &format!("{} {}", "warning:".yellow(), clean(message)),
                );
            }
            EventKind::StrayProcesses { commands, .. } => self.say(
                event.at,
                &format!(
                    "{} the case left processes behind, which were ended: {}",
                    "warning:".yellow(),
                    clean(&commands.join(", "))
                ),
            ),
            EventKind::NodeBad(bad) => self.say(
                event.at,
                &format!(
                    "{} node {} cannot take part: {}",
                    "warning:".yellow(),
                    bad.node,
                    clean(&bad.reason)
                ),
            ),
            EventKind::RunResumed { passed, cases, .. } => {
                self.total = passed + cases;
                self.say(
                    event.at,
                    &format!("resumed: {cases} of {} rounds are to be run", self.total),
                );
            }
            EventKind::Interrupted { count: 1 } => self.say(
                event.at,
                "interrupted: ending the case in order; once more ends it at once",
            ),
            EventKind::NodeSilent { node, seconds } => {
                self.say(
                    event.at,
                    &format!("node {node} has been silent for {seconds:.0} s"),
                );
            }
            EventKind::NodeBack { node } => {
                self.say(event.at, &format!("node {node} speaks again"));
            }
            EventKind::NodeLost { node, reason } => {
                self.say(
                    event.at,
                    &format!("{} node {node} is lost: {}", "error:".red(), clean(reason)),
                );
            }
            EventKind::StepStarted { step, group } => {
                if *step == StepKind::PrepareCase
                    && let Some(current) = &mut self.current
                {
                    current.phase = "making ready";
                }
                if !self.on_terminal {
                    let group = match group {
                        1 => String::new(),
                        group => format!(" (group {group})"),
                    };
                    self.say(event.at, &format!("{step}{group}: started"));
                }
            }
            EventKind::StepEnded {
                step,
                node,
                outcome: StepOutcome::Done { what },
                seconds,
                ..
            } if *step != StepKind::StopContainer || what.contains("left running") => {
                if *step == StepKind::PrepareCase
                    && let Some(current) = &mut self.current
                {
                    current.phase = "running";
                }
                self.say(
                    event.at,
                    &format!("{node}: {step}: {} ({seconds:.1} s)", clean(what)),
                );
            }
            EventKind::StepEnded {
                step,
                node,
                outcome: StepOutcome::Failed { reason, hint, tail },
                ..
            } => {
                let text = format!("{node}: {step} failed: {}", clean(reason));
                self.say(event.at, &format!("{} {text}", "error:".red()));
                for line in tail {
                    self.say(event.at, &format!("  {}", clean(line)));
                }
                if let Some(hint) = hint {
                    self.say(event.at, &format!("{} {}", "hint:".cyan(), clean(hint)));
                }
            }
            EventKind::RunEnded { .. } => self.current = None,
            EventKind::NodeReady { .. }
            | EventKind::TaskStarted { .. }
            | EventKind::Collected { .. }
            | EventKind::Phase { .. }
            | EventKind::Live { .. }
            | EventKind::Note { .. }
            | EventKind::MonitorStopped { .. }
            | EventKind::StepEnded { .. }
            | EventKind::Interrupted { .. } => {}
        }
        self.redraw(event.at);
    }

    fn ended(&mut self, at: Timestamp, case: &str, outcome: &Outcome, seconds: f64) {
        let current = self.current.take();
        self.ended += 1;
        let label = current.as_ref().map_or_else(
            // It never began.
            || format!("[{}/{}] {case}", self.ended, self.total),
            |current| current.label.clone(),
        );
        let text = match outcome {
            Outcome::Passed => {
                let results = current.as_ref().map_or(&[][..], |current| &current.results);
                format!(
                    "{label}: {} in {seconds:.1} s, {}",
                    "passed".green(),
                    summed_up(results)
                )
            }
            Outcome::Unsupported { .. } | Outcome::NotRun | Outcome::Skipped { .. } => {
                format!("{label}: {}", outcome.to_string().yellow())
            }
            Outcome::Failed { .. }
            | Outcome::TimedOut { .. }
            | Outcome::Stalled { .. }
            | Outcome::Aborted
            | Outcome::Lost { .. } => {
                let outcome = clean(&outcome.to_string());
                format!("{label}: {} ({seconds:.1} s)", outcome.red())
            }
        };
        self.say(at, &text);
    }

    fn redraw(&self, now: Timestamp) {
        let Some(current) = self.current.as_ref().filter(|_| self.on_terminal) else {
            return;
        };
        let since = now.seconds_since(current.started).max(0.0);
        let time = match (current.remaining, current.expected_s) {
            (Some((seconds, at)), _) => left(seconds - now.seconds_since(at)),
            (None, Some(expected)) => left(expected - since),
            (None, None) => format!("{since:.0} s so far, at most {:.0} s", current.limit_s),
        };
        let value = current.value.as_deref().unwrap_or_default();
        let text = format!("{}: {}  {time}  {value}", current.label, current.phase);
        let done: BTreeSet<&NodeName> = current.results.iter().map(|found| &found.node).collect();
        let text = if current.nodes > 1 && !done.is_empty() {
            format!("{text}  {} of {} nodes", done.len(), current.nodes)
        } else {
            text
        };
        // One column stays free: what the terminal echoes (^C) must not begin a new line.
        let width = width().saturating_sub(4);
        let text: String = text.chars().take(width).collect();
        // Many nodes tell much that changes nothing in the line.
        if *self.drawn.borrow() == text {
            return;
        }
        self.drawn.replace(text.clone());
        drop(write!(anstream::stderr().lock(), "{CLEAR}{text}"));
        drop(anstream::stderr().lock().flush());
    }

    /// A line that stays.
    fn say(&self, at: Timestamp, text: &str) {
        self.drawn.borrow_mut().clear();
        let mut stderr = anstream::stderr().lock();
        drop(if self.on_terminal {
            writeln!(stderr, "{CLEAR}{text}")
        } else {
            writeln!(stderr, "{} {text}", time_of_day(at))
        });
    }
}

/// The number, or of several their median and both ends with whose they are.
fn summed_up(results: &[Number]) -> String {
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

/// Returns to the first column and clears the line.
const CLEAR: &str = "\r\x1b[2K";

fn left(seconds: f64) -> String {
    format!("{:.0} s left", seconds.max(0.0))
}

fn width() -> usize {
    rustix::termios::tcgetwinsize(std::io::stderr())
        .map_or(0, |size| usize::from(size.ws_col))
        .max(20)
}

/// Text of others without what would move the cursor or begin a line.
fn clean(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn time_of_day(at: Timestamp) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(at.0)).map_or_else(
        |_| String::from("--:--:--"),
        |moment| {
            let local = moment.to_zoned_datetime(TimeZone::system());
            local.strftime("%H:%M:%S").to_string()
        },
    )
}

/// Four significant digits.
fn significant(value: f64) -> String {
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
