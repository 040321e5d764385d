//! `flagperf run --dry-run`: the plan, and nothing else.

mod container;
mod words;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use flagperf_model::{
    BadNode, Launcher, NodeSpec, NodeTask, Plan, PlannedCase, ProcessSpec, RemarkKind, StepKind,
    concealed, concealed_words,
};

pub(super) use self::words::quoted;
use self::words::{abridged, abridgement, own};
use super::packing::Copied;
use crate::exit::{Exit, Failure};
use crate::output::print;

pub(super) fn print_plan(
    plan: &Plan,
    bad: &[BadNode],
    copied: &[Copied<'_>],
    program: &str,
    json: bool,
) -> Result<Exit, Failure> {
    let text = if json {
        serde_json::to_string_pretty(plan).map_err(Failure::internal)? + "\n"
    } else {
        describe(plan, bad, copied, program)
    };
    print(&text)
        .map(|()| Exit::Success)
        .map_err(|error| Failure::usage(format!("the plan cannot be written: {error}")))
}

/// The plan in words: every process with its arguments, environment and directory.
fn describe(plan: &Plan, bad: &[BadNode], copied: &[Copied<'_>], program: &str) -> String {
    let mut text = String::new();
    for node in &plan.nodes {
        let name = &node.name;
        let _ = match bad.iter().find(|bad| bad.node == *name) {
            Some(bad) => writeln!(text, "{name}: cannot take part: {}", bad.reason),
            None => writeln!(text, "agent on {name}: {}", reach(node, program)),
        };
    }
    for step in plan.environment.skipped_steps() {
        let _ = writeln!(text, "skipped in in-container mode: {step}");
    }
    for copied in copied {
        describe_copy(&mut text, copied);
    }
    let rounds: Vec<usize> = (0..plan.cases.len()).collect();
    for group in plan.groups(&rounds) {
        let is_needed = group.rounds.iter().any(|&place| plan.cases[place].runs());
        if let Some(made) = group.container.filter(|_| is_needed) {
            text.push_str(&container::describe(plan, &group, made));
        }
        text.push('\n');
        for &index in &group.rounds {
            describe_case(&mut text, plan, index, program);
        }
    }
    let scripts: BTreeSet<String> = plan.cases.iter().flat_map(scripts).collect();
    if !scripts.is_empty() {
        let scripts: Vec<String> = scripts.into_iter().collect();
        let _ = writeln!(
            text,
            "{} {} for a fixed script, which `--dry-run --json` shows whole",
            scripts.join(" and "),
            if scripts.len() == 1 {
                "stands"
            } else {
                "stand"
            },
        );
    }
    text
}

/// The scripts of a case that are not shown whole.
fn scripts(case: &PlannedCase) -> Vec<String> {
    if !case.runs() {
        return Vec::new();
    }
    let processes = case.tasks.iter().flat_map(|task| &task.processes);
    let all = processes.map(|process| &process.argv);
    let all = all.chain(case.setup.iter().map(|command| &command.argv));
    all.filter_map(|argv| abridgement(argv)).collect()
}

/// What every node gets of a directory.
fn describe_copy(text: &mut String, copied: &Copied<'_>) {
    const MIB: f64 = 1_048_576.0;
    let Copied {
        directory, changes, ..
    } = copied;
    let _ = writeln!(
        text,
        "private copy of {directory} for every node: {} files, {:.1} MiB ({:.1} MiB packed)",
        copied.files,
        copied.bytes as f64 / MIB,
        copied.packed as f64 / MIB
    );
    let files: Vec<&str> = changes.files.keys().map(String::as_str).collect();
    let without = changes.without.join(", ");
    for (what, names) in [
        ("without", without),
        ("with other content", files.join(", ")),
        (
            "lines that end in CR LF end in LF",
            changes.unix_lines.join(", "),
        ),
        ("warning", copied.problems.join("; ")),
    ] {
        if !names.is_empty() {
            let _ = writeln!(text, "  {what}: {names}");
        }
    }
}

fn describe_case(text: &mut String, plan: &Plan, index: usize, program: &str) {
    let case = &plan.cases[index];
    let _ = write!(text, "[{}/{}] {}", index + 1, plan.cases.len(), case.name());
    if case.rounds > 1 {
        let _ = write!(text, ", round {} of {}", case.round, case.rounds);
    }
    if let Some(feature) = &case.unsupported {
        let _ = writeln!(text, "\n  not run: not supported here: {feature}\n");
        return;
    }
    if let Some(reason) = &case.skipped {
        let _ = writeln!(text, "\n  not run: {reason}\n");
        return;
    }
    let _ = writeln!(
        text,
        "\n  limits: {} s, ended when silent and idle for {} s",
        case.limits.timeout_s, case.limits.stall_s
    );
    for remark in &case.remarks {
        let kind = match remark.kind {
            RemarkKind::SetRight => "set right",
            RemarkKind::Warning => "warning",
        };
        let _ = writeln!(text, "  {kind}: {}", remark.text);
    }
    for command in &case.setup {
        let elsewhere = match case.tasks.first() {
            Some(task) => format!(" (in {})", task_directory(plan, case, task)),
            None => String::new(),
        };
        let _ = writeln!(
            text,
            "  {}{}",
            StepKind::PrepareCase,
            container::setup(command, &elsewhere)
        );
    }
    if case.drop_caches {
        let _ = writeln!(text, "  the page cache of every node is dropped");
    }
    for task in &case.tasks {
        describe_task(text, plan, case, task, program);
    }
    text.push('\n');
}

fn describe_task(
    text: &mut String,
    plan: &Plan,
    case: &PlannedCase,
    task: &NodeTask,
    program: &str,
) {
    let _ = writeln!(
        text,
        "  on {}, output to {}/{}",
        task.node, task.directory, task.log
    );
    for process in &task.processes {
        let _ = writeln!(
            text,
            "    rank {}: {}",
            process.rank,
            quoted(&abridged(&own(&process.argv, program)))
        );
        if let Some(log) = task.rank_logs.get(&process.rank) {
            let _ = writeln!(text, "      output: {}/{log}", task.directory);
        }
        if !process.cpus.is_empty() {
            let cpus: Vec<String> = process.cpus.iter().map(u32::to_string).collect();
            let _ = writeln!(text, "      cores: {}", cpus.join(","));
        }
        let _ = writeln!(
            text,
            "      directory: {}",
            directory(plan, case, task, process)
        );
        for (name, value) in &process.env {
            let value = concealed(name, value).into_owned();
            let _ = writeln!(text, "      {name}={}", quoted(&[value]));
        }
    }
}

/// How a node is reached, in words.
fn reach(node: &NodeSpec, program: &str) -> String {
    match &node.launcher {
        Launcher::Local => quoted(&[program.to_owned(), "agent".to_owned()]),
        Launcher::Ssh(target) => {
            let user = target
                .user
                .as_ref()
                .map_or(String::new(), |user| format!("{user}@"));
            let port = target
                .port
                .map_or(String::new(), |port| format!(", port {port}"));
            format!("by ssh to {user}{}{port}", target.host)
        }
        Launcher::Exec { words } => format!("by {}", quoted(&concealed_words(words))),
    }
}

fn directory(plan: &Plan, case: &PlannedCase, task: &NodeTask, process: &ProcessSpec) -> String {
    match &process.cwd {
        Some(cwd) if cwd.starts_with('/') || task.case_directory.is_none() => cwd.clone(),
        Some(cwd) => format!("{cwd} in {}", task_directory(plan, case, task)),
        None => task_directory(plan, case, task),
    }
}

/// Where the processes of a task run that name no directory of their own.
fn task_directory(plan: &Plan, case: &PlannedCase, task: &NodeTask) -> String {
    let is_used_as_it_is = task.copy.is_none()
        && plan.container_of(case).is_none()
        && plan
            .nodes
            .iter()
            .any(|node| node.name == task.node && node.launcher == Launcher::Local);
    match &task.case_directory {
        Some(path) if is_used_as_it_is => path.clone(),
        Some(path) => format!("a copy of {path}"),
        None => "the current one".to_owned(),
    }
}

#[cfg(test)]
mod tests;
