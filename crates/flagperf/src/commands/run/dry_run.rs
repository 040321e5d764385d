//! `flagperf run --dry-run`: the plan, and nothing else.

use flagperf_model::{
    BadNode, BuildPolicy, ContainerPlan, EngineKind, ImageSource, Launcher, NodeSpec, NodeTask,
    OWN_PROGRAM, Plan, ProcessSpec, StepKind, concealed, concealed_words,
};

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
    if let Some(container) = plan.environment.container() {
        text.push_str(&describe_container(plan, container));
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
                    let value = concealed(name, value).into_owned();
                    let _ = writeln!(text, "      {name}={}", quoted(&[value]));
                }
            }
        }
        text.push('\n');
    }
    text
}

/// The four steps of container mode.
fn describe_container(plan: &Plan, container: &ContainerPlan) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let engine = container.engine.unwrap_or(EngineKind::Docker);
    let image = &container.image;
    let how = match &container.source {
        ImageSource::Present => format!("{image} must be there"),
        ImageSource::Pulled => format!("{image} is fetched"),
        ImageSource::Built(build) => {
            let when = match build.policy {
                BuildPolicy::Never => "must be there",
                BuildPolicy::Auto => "is built if it is not there or was made of something else",
                BuildPolicy::Always => "is built",
            };
            let install = build.install.as_ref().map_or(String::new(), |script| {
                format!(", then {script} is run in it")
            });
            format!(
                "{image} {when}: from {}{install} (content {})",
                build.directory,
                &build.content[..12]
            )
        }
    };
    let _ = writeln!(text, "{}: {how}", StepKind::PrepareImage);
    let name = format!("flagperf-{}-RANK", plan.run);
    let labels = flagperf_container::Labels {
        run: plan.run.to_string(),
        owner: container.owner.clone(),
        ..Default::default()
    };
    let run = flagperf_container::run(
        engine,
        &name,
        image,
        OWN_PROGRAM,
        &container.options.concealed(),
        &labels,
        container.keep,
    );
    let which = match container.engine {
        Some(_) => "",
        None => " (or what the node has in the place of docker)",
    };
    let _ = writeln!(
        text,
        "{}{which}: {}",
        StepKind::StartContainer,
        quoted(&run.argv())
    );
    if container.setup.is_empty() {
        let _ = writeln!(
            text,
            "{}: nothing is to be done",
            StepKind::ConfigureContainer
        );
    }
    for command in &container.setup {
        let directory = command
            .directory
            .as_ref()
            .map_or(String::new(), |path| format!(" (in a copy of {path})"));
        let env: Vec<String> = command
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value} "))
            .collect();
        let _ = writeln!(
            text,
            "{}{directory}: {}{}",
            StepKind::ConfigureContainer,
            env.concat(),
            quoted(&command.argv)
        );
    }
    let stop = if container.keep {
        "it is left running"
    } else {
        "its agent leaves, and it is removed"
    };
    let _ = writeln!(text, "{}: {stop}", StepKind::StopContainer);
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
        Launcher::Exec { words } => format!("by {}", quoted(&concealed_words(words))),
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
pub(super) fn quoted(words: &[String]) -> String {
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
