//! Steps on the way to cases, as a person sees them: nodes of which the same is to be said share a line.

use flagperf_model::{NodeName, StepKind, StepOutcome, Timestamp, fold};
use owo_colors::OwoColorize;

use super::clean;

/// The line of a step is redrawn this often at most because something was printed, in seconds.
const PAUSE_S: f64 = 0.2;

/// The step that is being taken.
pub(super) struct Steps {
    /// The nodes of the run, in their order.
    nodes: Vec<NodeName>,
    /// `prepare image`, or `prepare image (group 2)`.
    heading: String,
    began: Timestamp,
    /// True while it is taken.
    is_on: bool,
    ended: usize,
    /// What is still to be said.
    waiting: Vec<Line>,
    /// What was said of failures.
    failures: Vec<(String, Option<String>)>,
    /// The last line that was printed, and when it was drawn.
    output: String,
    drawn: Timestamp,
}

/// What is to be said of some nodes.
struct Line {
    names: Vec<NodeName>,
    /// What was done.
    text: String,
    /// How long the fastest and the slowest of them took; absent where that says nothing.
    seconds: Option<(f64, f64)>,
    is_failure: bool,
}

impl Steps {
    pub(super) fn new(nodes: Vec<NodeName>) -> Self {
        Self {
            nodes,
            heading: String::new(),
            began: Timestamp::default(),
            is_on: false,
            ended: 0,
            waiting: Vec::new(),
            failures: Vec::new(),
            output: String::new(),
            drawn: Timestamp::default(),
        }
    }

    /// A step begins; gives what it is called.
    pub(super) fn begin(&mut self, step: StepKind, group: u32, at: Timestamp) -> &str {
        self.heading = match group {
            1 => step.to_string(),
            group => format!("{step} (group {group})"),
        };
        self.began = at;
        self.is_on = true;
        self.ended = 0;
        self.failures.clear();
        self.output.clear();
        &self.heading
    }

    /// It has ended on a node. Gives what is to be said at once: why it failed, unless that was said of another.
    pub(super) fn end(
        &mut self,
        step: StepKind,
        node: &NodeName,
        outcome: &StepOutcome,
        seconds: f64,
    ) -> Vec<String> {
        self.ended += 1;
        let seconds = Some((seconds, seconds));
        match outcome {
            StepOutcome::Done { what } => {
                let text = match step {
                    // Each node's has a name of its own.
                    StepKind::StartContainer if self.nodes.len() > 1 => "started".to_owned(),
                    _ => clean(what),
                };
                self.keep(node, text, seconds, false);
            }
            StepOutcome::Stopped { why } => {
                self.keep(node, format!("stopped: {}", clean(why)), seconds, false);
            }
            StepOutcome::Failed { reason, hint, tail } => {
                // Names of the node's own things are no other reason.
                let known = (reason.replace(node.as_str(), ""), hint.clone());
                if self.failures.contains(&known) {
                    self.keep(node, String::new(), None, true);
                    return Vec::new();
                }
                self.failures.push(known);
                let mut lines = vec![format!(
                    "{} {node}: {step} failed: {}",
                    "error:".red(),
                    clean(reason)
                )];
                lines.extend(tail.iter().map(|line| format!("  {}", clean(line))));
                lines.extend(
                    hint.iter()
                        .map(|hint| format!("{} {}", "hint:".cyan(), clean(hint))),
                );
                return lines;
            }
        }
        Vec::new()
    }

    fn keep(
        &mut self,
        node: &NodeName,
        text: String,
        seconds: Option<(f64, f64)>,
        is_failure: bool,
    ) {
        let alike = |line: &&mut Line| line.text == text && line.is_failure == is_failure;
        match self.waiting.iter_mut().find(alike) {
            Some(line) => {
                line.names.push(node.clone());
                if let (Some(all), Some(one)) = (&mut line.seconds, seconds) {
                    *all = (all.0.min(one.0), all.1.max(one.1));
                }
            }
            None => self.waiting.push(Line {
                names: vec![node.clone()],
                text,
                seconds,
                is_failure,
            }),
        }
    }

    /// What is left to be said of it: something else happens now.
    pub(super) fn rest(&mut self) -> Vec<String> {
        self.is_on = false;
        let (heading, nodes) = (&self.heading, &self.nodes);
        let lines = self.waiting.drain(..).map(|mut line| {
            let place = |name: &NodeName| nodes.iter().position(|node| node == name);
            line.names.sort_by_cached_key(place);
            let names = fold(&line.names);
            if line.is_failure {
                return format!(
                    "{} {names}: {heading} failed for the same reason",
                    "error:".red()
                );
            }
            let took = line.seconds.map_or(String::new(), |(least, most)| {
                let (least, most) = (format!("{least:.1}"), format!("{most:.1}"));
                if least == most {
                    format!(" ({most} s)")
                } else {
                    format!(" ({least} to {most} s)")
                }
            });
            format!("{names}: {heading}: {}{took}", line.text)
        });
        lines.collect()
    }

    /// Something was printed. True if the line is to be redrawn for it.
    pub(super) fn printed(&mut self, now: Timestamp, bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines().rev().map(clean);
        if let Some(last) = lines.find(|line| !line.trim().is_empty()) {
            last.trim().clone_into(&mut self.output);
        }
        let is_due = now.seconds_since(self.drawn) >= PAUSE_S;
        if is_due {
            self.drawn = now;
        }
        is_due
    }

    /// Its line, while it is taken.
    pub(super) fn line(&self, now: Timestamp) -> Option<String> {
        if !self.is_on {
            return None;
        }
        let since = now.seconds_since(self.began).max(0.0);
        let of = match (self.ended, self.nodes.len()) {
            (0, _) | (_, 1) => String::new(),
            (ended, nodes) => format!("  done on {ended} of {nodes} nodes"),
        };
        let heading = &self.heading;
        Some(format!(
            "{heading}: {since:.0} s so far{of}  {}",
            self.output
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(lines: &[String]) -> Vec<String> {
        let strip = |line: &String| anstream::adapter::strip_str(line).to_string();
        lines.iter().map(strip).collect()
    }

    #[test]
    fn nodes_of_which_the_same_is_to_be_said_share_a_line() {
        let node = |number: u32| NodeName::new(format!("n{number}")).unwrap();
        let mut steps = Steps::new((1..=4).map(node).collect());
        let done = |what: &str| StepOutcome::Done { what: what.into() };
        let failed = |reason: &str| StepOutcome::Failed {
            reason: reason.into(),
            hint: Some("try again".into()),
            tail: vec!["last\u{1b}words".into()],
        };
        let began = Timestamp(0);
        let step = StepKind::PrepareImage;
        assert_eq!(steps.begin(step, 1, began), "prepare image");
        assert!(steps.printed(Timestamp(1_000_000_000), b"Step 1/2 : FROM a\n\n"));
        assert!(!steps.printed(Timestamp(1_100_000_000), b"Step 2/2"));
        assert!(steps.end(step, &node(3), &done("has it"), 0.08).is_empty());
        assert!(steps.end(step, &node(1), &done("has it"), 0.12).is_empty());
        assert!(steps.end(step, &node(2), &done("built it"), 9.0).is_empty());
        assert_eq!(
            steps.line(Timestamp(9_000_000_000)).unwrap(),
            "prepare image: 9 s so far  done on 3 of 4 nodes  Step 2/2"
        );
        let expected = [
            "n[1,3]: prepare image: has it (0.1 s)",
            "n2: prepare image: built it (9.0 s)",
        ];
        assert_eq!(plain(&steps.rest()), expected);
        assert!(steps.rest().is_empty() && steps.line(began).is_none());

        steps.begin(step, 2, began);
        let said = plain(&steps.end(step, &node(1), &failed("no disk on n1"), 1.0));
        let expected = [
            "error: n1: prepare image failed: no disk on n1",
            "  last words",
            "hint: try again",
        ];
        assert_eq!(said, expected);
        for number in [2, 3] {
            let again = failed(&format!("no disk on n{number}"));
            assert!(steps.end(step, &node(number), &again, 1.0).is_empty());
        }
        let stopped = StepOutcome::Stopped {
            why: "n1 failed".into(),
        };
        assert!(steps.end(step, &node(4), &stopped, 2.0).is_empty());
        let expected = [
            "error: n[2-3]: prepare image (group 2) failed for the same reason",
            "n4: prepare image (group 2): stopped: n1 failed (2.0 s)",
        ];
        assert_eq!(plain(&steps.rest()), expected);
    }
}
