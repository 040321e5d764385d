//! The readable log, in the wording that tools made for the Python harness look for.

use flagperf_model::{Event, EventKind, Outcome, StepKind, StepOutcome};

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

fn step_number(step: StepKind) -> usize {
    StepKind::ALL
        .iter()
        .position(|one| *one == step)
        .unwrap_or(0)
        + 1
}

/// The lines that an event is worth. `first` is true for the first case of a run.
pub(crate) fn lines(event: &Event, first: bool) -> Vec<(Level, String)> {
    let info = |text: String| vec![(Level::Info, text)];
    match &event.what {
        EventKind::RunStarted {
            version,
            directory,
            cases,
            environment,
            environment_reason,
            ..
        } => {
            let mut lines = vec![
                "======== Step 1: Check environment and configs. ========".to_owned(),
                format!(
                    "flagperf {version}, {cases} {} of cases, record in {directory}",
                    if *cases == 1 { "round" } else { "rounds" }
                ),
            ];
            lines.extend(environment_reason.clone());
            lines.extend(
                environment
                    .skipped_steps()
                    .iter()
                    .map(|step| format!("skipped in in-container mode: {step}")),
            );
            lines.into_iter().map(|line| (Level::Info, line)).collect()
        }
        EventKind::RunResumed {
            version,
            passed,
            cases,
        } => info(format!(
            "flagperf {version} resumes the run: {passed} rounds of cases had passed, {cases} are to be run"
        )),
        EventKind::NodeBad(bad) => {
            let mut lines = vec![(
                Level::Error,
                format!("node {} cannot take part: {}", bad.node, bad.reason),
            )];
            lines.extend(
                bad.hint
                    .iter()
                    .map(|hint| (Level::Error, format!("  {hint}"))),
            );
            lines
        }
        EventKind::StepStarted { step } => info(format!("{}) {step}...", step_number(*step))),
        EventKind::StepEnded {
            step,
            node,
            outcome: StepOutcome::Done { what },
            seconds,
            ..
        } => info(format!("{node}: {step}: {what} ({seconds:.1} s)")),
        EventKind::StepEnded {
            step,
            node,
            outcome: StepOutcome::Failed { reason, hint, tail },
            ..
        } => {
            let mut lines = vec![format!("{node}: {step} failed: {reason}")];
            lines.extend(hint.iter().map(|hint| format!("  {hint}")));
            lines.extend(tail.iter().map(|line| format!("  {line}")));
            lines.into_iter().map(|line| (Level::Error, line)).collect()
        }
        EventKind::TaskStarted { case, round, skew } => info(format!(
            "{case} round {round} started on all nodes within {:.3} ms (± {:.3} ms; {} first, {} last)",
            skew.seconds * 1e3,
            skew.uncertainty_s * 1e3,
            skew.first,
            skew.last
        )),
        EventKind::Collected {
            case,
            node,
            files,
            bytes,
        } => info(format!(
            "{case}: {files} {}, {bytes} bytes, fetched from {node}",
            if *files == 1 { "file" } else { "files" }
        )),
        EventKind::NodeReady {
            node, facts, here, ..
        } => info(format!(
            "node {node} is ready{}: {}, {} cores, {:.1} GiB of memory{}",
            if *here {
                " (this machine, without a connection)"
            } else {
                ""
            },
            facts.cpu.model.as_deref().unwrap_or("unknown processor"),
            facts.cpu.cores,
            facts.memory.total as f64 / f64::from(1 << 30),
            match &facts.chips[..] {
                [] => String::new(),
                [chip] => format!(", 1 {} chip", chip.vendor),
                [chip, ..] => format!(", {} {} chips", facts.chips.len(), chip.vendor),
            }
        )),
        EventKind::NodeSilent { node, seconds } => {
            vec![(
                Level::Warning,
                format!("node {node} has been silent for {seconds:.0} s"),
            )]
        }
        EventKind::NodeBack { node } => info(format!("node {node} answers again")),
        EventKind::NodeLost { node, reason } => {
            vec![(Level::Error, format!("node {node} is lost: {reason}"))]
        }
        EventKind::CaseStarted { case, .. } => {
            let mut lines = Vec::new();
            if first {
                lines.push("========= Step 2: Prepare and Run test cases. =========".into());
            }
            lines.push(format!("======= Testcase: {case} ======="));
            lines.push(format!("-== Testcase {case} starts ==-"));
            lines.push("2) Start tasks in the cluster...".into());
            lines.push("3) Waiting for tasks end in the cluster...".into());
            lines.into_iter().map(|line| (Level::Info, line)).collect()
        }
        EventKind::Note {
            node,
            rank,
            key,
            value,
            ..
        } => info(format!("{node}, rank {rank}: {key}: {value}")),
        EventKind::CaseEnded {
            case,
            round,
            outcome,
            seconds,
            tail,
        } => {
            let level = if outcome.is_failure() {
                Level::Error
            } else {
                Level::Info
            };
            let said = (
                level,
                format!("{case} round {round} {outcome} ({seconds:.1} s)"),
            );
            if matches!(
                outcome,
                Outcome::NotRun | Outcome::Unsupported { .. } | Outcome::Skipped { .. }
            ) {
                return vec![said];
            }
            let mut lines = vec![(
                Level::Info,
                "3) Training tasks end in the cluster...".to_owned(),
            )];
            if *outcome != Outcome::Passed {
                lines.extend(tail.iter().map(|line| (level, format!("  {line}"))));
            }
            lines.push(said);
            lines.push((Level::Info, format!("-== Testcase {case} finished ==-")));
            lines
        }
        EventKind::StrayProcesses {
            case,
            node,
            commands,
        } => vec![(
            Level::Warning,
            format!(
                "{case} left processes behind on {node}: {}",
                commands.join(", ")
            ),
        )],
        EventKind::Warning { message } => vec![(Level::Warning, message.clone())],
        EventKind::Interrupted { .. } => vec![(Level::Warning, "interrupted by the user".into())],
        EventKind::RunEnded {
            passed,
            failed,
            unsupported,
            seconds,
        } => info(format!(
            "{passed} passed, {failed} failed, {unsupported} not supported, in {seconds:.1} s"
        )),
        EventKind::Phase { .. }
        | EventKind::Live { .. }
        | EventKind::Measured { .. }
        | EventKind::MonitorStopped { .. } => Vec::new(),
    }
}
