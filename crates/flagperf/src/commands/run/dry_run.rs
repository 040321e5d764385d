//! `flagperf run --dry-run`: the plan, and nothing else.

use flagperf_model::{BadNode, Launcher, NodeSpec, NodeTask, OWN_PROGRAM, Plan, ProcessSpec};

use crate::exit::{Exit, Failure};
use crate::output::print;

pub(super) fn print_plan(
    plan: &Plan,
    bad: &[BadNode],
    program: &str,
    json: bool,
) -> Result<Exit, Failure> {
    let text = if json {
        serde_json::to_string_pretty(plan).map_err(Failure::internal)? + "\n"
    } else {
        describe(plan, bad, program)
    };
    print(&text)
        .map(|()| Exit::Success)
        .map_err(|error| Failure::usage(format!("the plan cannot be written: {error}")))
}

/// The plan in words: every process with its arguments, environment and directory.
fn describe(plan: &Plan, bad: &[BadNode], program: &str) -> String {
    use std::fmt::Write as _;
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
    text.push('\n');
    let total = plan.cases.len();
    for (index, case) in plan.cases.iter().enumerate() {
        let _ = write!(text, "[{}/{total}] {}", index + 1, case.name());
        if case.rounds > 1 {
            let _ = write!(text, ", round {} of {}", case.round, case.rounds);
        }
        if let Some(feature) = &case.unsupported {
            let _ = writeln!(text, "\n  not run: not supported here: {feature}\n");
            continue;
        }
        if let Some(reason) = &case.skipped {
            let _ = writeln!(text, "\n  not run: {reason}\n");
            continue;
        }
        let _ = writeln!(
            text,
            "\n  limits: {} s, ended when silent and idle for {} s",
            case.limits.timeout_s, case.limits.stall_s
        );
        for task in &case.tasks {
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
                    quoted(&own(&process.argv, program))
                );
                if !process.cpus.is_empty() {
                    let cpus: Vec<String> = process.cpus.iter().map(u32::to_string).collect();
                    let _ = writeln!(text, "      cores: {}", cpus.join(","));
                }
                let _ = writeln!(text, "      directory: {}", directory(plan, task, process));
                for (name, value) in &process.env {
                    let _ = writeln!(text, "      {name}={}", quoted(std::slice::from_ref(value)));
                }
            }
        }
        text.push('\n');
    }
    text
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
        Launcher::Exec { words } => format!("by {}", quoted(words)),
    }
}

/// The argument vector with this program's path in its place, so that it can be tried by hand.
fn own(argv: &[String], program: &str) -> Vec<String> {
    let path = |word: &String| {
        if word == OWN_PROGRAM {
            program.to_owned()
        } else {
            word.clone()
        }
    };
    argv.iter().map(path).collect()
}

fn directory(plan: &Plan, task: &NodeTask, process: &ProcessSpec) -> String {
    let is_local = plan
        .nodes
        .iter()
        .any(|node| node.name == task.node && node.launcher == Launcher::Local);
    match (&process.cwd, &task.case_directory) {
        (Some(cwd), _) => cwd.clone(),
        (None, Some(path)) if is_local => path.clone(),
        (None, Some(path)) => format!("a copy of {path}"),
        (None, None) => "the current one".to_owned(),
    }
}

/// Words as a shell would need them, so that a line of the plan can be tried by hand.
fn quoted(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c);
    let quote = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}
