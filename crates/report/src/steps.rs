//! What was done on nodes on the way to cases: containers, and what made cases ready.

use flagperf_model::{NodeName, NodeRecord, StepKind, StepOutcome, StepRecord, fold};

/// A step that went alike on some nodes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StepLine {
    /// The nodes, folded.
    pub(crate) nodes: String,
    /// Which step: `prepare image`, `prepare image (group 2)`, `prepare case (computation-FP16)`.
    pub(crate) step: String,
    /// What was done, or why it failed.
    pub(crate) words: String,
    /// True if it failed.
    pub(crate) failed: bool,
    /// How long the slowest of the nodes took, in seconds.
    pub(crate) seconds: f64,
}

/// The steps of a run in the order in which they were taken.
pub(crate) fn lines(nodes: &[NodeRecord]) -> Vec<StepLine> {
    let mut found: Vec<(StepLine, Vec<NodeName>)> = Vec::new();
    // The first steps of all nodes come before the second ones.
    let longest = nodes.iter().map(|node| node.steps.len()).max().unwrap_or(0);
    for place in 0..longest {
        for node in nodes {
            let Some(step) = node.steps.get(place) else {
                continue;
            };
            let line = line(step);
            let alike = |known: &StepLine| {
                (&known.step, &known.words, known.failed) == (&line.step, &line.words, line.failed)
            };
            match found.iter_mut().find(|(known, _)| alike(known)) {
                Some((known, names)) => {
                    known.seconds = known.seconds.max(line.seconds);
                    names.push(node.name.clone());
                }
                None => found.push((line, vec![node.name.clone()])),
            }
        }
    }
    let lines = found.into_iter().map(|(line, names)| StepLine {
        nodes: fold(&names),
        ..line
    });
    lines.collect()
}

fn line(step: &StepRecord) -> StepLine {
    let whose = match (&step.case, step.group) {
        (Some(case), _) => format!(" ({case})"),
        (None, 1) => String::new(),
        (None, group) => format!(" (group {group})"),
    };
    let (words, failed) = match &step.outcome {
        // Each node's has a name of its own.
        StepOutcome::Done { .. } if step.step == StepKind::StartContainer => {
            ("started".to_owned(), false)
        }
        StepOutcome::Done { what } => (what.clone(), false),
        StepOutcome::Failed { reason, .. } => (reason.clone(), true),
    };
    StepLine {
        nodes: String::new(),
        step: format!("{}{whose}", step.step),
        words,
        failed,
        seconds: step.seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, steps: Vec<StepRecord>) -> NodeRecord {
        NodeRecord {
            name: NodeName::new(name).unwrap(),
            rank: 0,
            facts: None,
            clock: None,
            bad: None,
            steps,
            series: Vec::new(),
            absent: Vec::new(),
        }
    }

    fn step(step: StepKind, group: u32, seconds: f64, what: &str) -> StepRecord {
        StepRecord {
            step,
            group,
            case: None,
            seconds,
            outcome: StepOutcome::Done {
                what: what.to_owned(),
            },
            log: None,
        }
    }

    #[test]
    fn what_went_alike_on_several_nodes_is_one_line() {
        let steps = |rank: u32| {
            let start = StepKind::StartContainer;
            let mut steps = vec![
                step(
                    start,
                    1,
                    0.5 + f64::from(rank),
                    &format!("flagperf-x-{rank}"),
                ),
                step(StepKind::StopContainer, 1, 1.0, "gone"),
                step(start, 3, 0.1, "flagperf-x"),
            ];
            if rank == 2 {
                steps[1].outcome = StepOutcome::Failed {
                    reason: "it hangs".to_owned(),
                    hint: None,
                    tail: Vec::new(),
                };
            }
            steps
        };
        let nodes = [node("n1", steps(1)), node("n2", steps(2))];
        let told: Vec<String> = lines(&nodes)
            .into_iter()
            .map(|line| {
                let StepLine {
                    nodes, step, words, ..
                } = line;
                format!("{nodes}: {step}: {words} {} {}", line.failed, line.seconds)
            })
            .collect();
        assert_eq!(
            told,
            [
                "n[1-2]: start container: started false 2.5",
                "n1: stop container: gone false 1",
                "n2: stop container: it hangs true 1",
                "n[1-2]: start container (group 3): started false 0.1",
            ]
        );
    }
}
