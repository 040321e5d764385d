//! What a person sees while a run goes on: one line a case, on standard error.
//!
//! On a terminal the line of the running case is redrawn with the time left and the value so far,
//! only when something happens, which is at least with every sample of the monitors: a clock that ticks
//! by itself would use the processors that are being measured. Elsewhere there are plain lines with the
//! time of day.

mod case;
mod connecting;
mod steps;

use std::cell::RefCell;
use std::io::Write;

use flagperf_model::{
    Event, EventKind, NodeName, Outcome, Phase, PlannedCase, StepKind, Timestamp,
};
use jiff::tz::TimeZone;
use owo_colors::OwoColorize;

use case::{Current, Number, significant, summed_up};
pub(crate) use connecting::while_connecting;
use steps::Steps;

/// Progress of one run.
pub(crate) struct Progress {
    /// True if standard error is a terminal, where the line of the running case is redrawn.
    on_terminal: bool,
    total: u32,
    ended: u32,
    current: Option<Current>,
    /// The step that is being taken.
    steps: Steps,
    /// What the line of the running case or step says now.
    drawn: RefCell<String>,
}

impl Progress {
    /// `nodes` are those of the run, in their order.
    pub(crate) fn new(on_terminal: bool, nodes: Vec<NodeName>) -> Self {
        Self {
            on_terminal,
            steps: Steps::new(nodes),
            total: 0,
            ended: 0,
            current: None,
            drawn: RefCell::default(),
        }
    }

    /// A node has printed something in a step.
    pub(crate) fn step_output(&mut self, now: Timestamp, bytes: &[u8]) {
        if self.on_terminal && self.steps.printed(now, bytes) {
            self.redraw(now);
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
        // Whatever else happens, the nodes that have ended a step are told before.
        if !matches!(event.what, EventKind::StepEnded { .. }) {
            for line in self.steps.rest() {
                self.say(event.at, &line);
            }
        }
        match &event.what {
            EventKind::RunStarted {
                cases, directory, ..
            } => {
                self.total = *cases;
                // The run began before its nodes were reached.
                self.say(flagperf_engine::now(), &format!("recording in {directory}"));
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
                "interrupted: ending in order; once more ends at once",
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
                let heading = self.steps.begin(*step, *group, event.at).to_owned();
                if !self.on_terminal {
                    self.say(event.at, &format!("{heading}: started"));
                }
            }
            EventKind::StepEnded {
                step,
                node,
                outcome,
                seconds,
                ..
            } => {
                if *step == StepKind::PrepareCase
                    && let Some(current) = &mut self.current
                {
                    current.phase = "running";
                }
                for line in self.steps.end(*step, node, outcome, *seconds) {
                    self.say(event.at, &line);
                }
            }
            EventKind::RunEnded { .. } => {
                self.current = None;
                self.clear();
            }
            EventKind::NodeReady { .. }
            | EventKind::TaskStarted { .. }
            | EventKind::Collected { .. }
            | EventKind::Phase { .. }
            | EventKind::Live { .. }
            | EventKind::Note { .. }
            | EventKind::MonitorStopped { .. }
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
        if !self.on_terminal {
            return;
        }
        let text = match &self.current {
            Some(current) => current.line(now),
            None => match self.steps.line(now) {
                Some(line) => line,
                None => return,
            },
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

    /// Takes away the line that is redrawn.
    fn clear(&self) {
        if self.on_terminal && !self.drawn.take().is_empty() {
            drop(write!(anstream::stderr().lock(), "{CLEAR}"));
        }
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

/// Returns to the first column and clears the line.
const CLEAR: &str = "\r\x1b[2K";

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
