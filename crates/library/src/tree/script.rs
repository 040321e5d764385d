//! The fixed shell scripts around cases. Values reach them as arguments, never in their text.

use std::collections::BTreeMap;

use flagperf_model::{COPY, OUT, SetupCommand};

/// Runs what stands before a case's program, then the program in its place.
const TASK: &str = include_str!("scripts/task.sh");

/// Installs Python packages.
const REQUIREMENTS: &str = include_str!("scripts/requirements.sh");

/// Builds an extension.
const EXTENSION: &str = include_str!("scripts/extension.sh");

/// The name of a fixed script by its text, as it stands in a process's arguments: `task.sh`.
pub fn script_name(text: &str) -> Option<&'static str> {
    let names = [
        (TASK, "task.sh"),
        (REQUIREMENTS, "requirements.sh"),
        (EXTENSION, "extension.sh"),
    ];
    let found = names.into_iter().find(|(script, _)| *script == text);
    found.map(|(_, name)| name)
}

/// How long the installation of packages, or the building of an extension, may take, in seconds.
const SETUP_TIMEOUT_S: u32 = 1200;

/// What stands before the program of a case, each by its path relative to the copy.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Before<'a> {
    pub(super) requirements: Option<&'a str>,
    pub(super) environment: Option<&'a str>,
    /// Name of the file that what the environment prints goes to.
    pub(super) environment_log: &'a str,
    /// True if the user's `~/.bashrc` belongs to the environment.
    pub(super) bashrc: bool,
    pub(super) network: Option<&'a str>,
}

/// The argument vector and the working directory of a program that runs in a directory of the copy.
pub(super) fn wrapped(
    before: &Before<'_>,
    directory: &str,
    program: Vec<String>,
) -> (Vec<String>, Option<String>) {
    let files = [before.requirements, before.environment, before.network];
    if files.iter().all(Option::is_none) && !before.bashrc {
        return (
            program,
            (!directory.is_empty()).then(|| directory.to_owned()),
        );
    }
    let path = |file: Option<&str>| file.map_or(String::new(), in_copy);
    let mut argv = start(TASK);
    argv.extend([
        OUT.to_owned(),
        path(before.requirements),
        path(before.environment),
        before.environment_log.to_owned(),
        if before.bashrc { "bashrc" } else { "" }.to_owned(),
        path(before.network),
        in_copy(directory),
    ]);
    argv.extend(program);
    (argv, None)
}

/// A path in the copy, as programs are given it.
pub(super) fn in_copy(path: &str) -> String {
    if path.is_empty() {
        COPY.to_owned()
    } else {
        format!("{COPY}/{path}")
    }
}

/// The command that installs the packages of a case.
pub(super) fn install_requirements(
    requirements: &str,
    environment: Option<&str>,
    source: Option<&str>,
) -> SetupCommand {
    let arguments = [
        environment.unwrap_or_default(),
        requirements,
        source.unwrap_or_default(),
    ];
    setup(REQUIREMENTS, &arguments)
}

/// The command that builds the extension of a case.
pub(super) fn build_extension(
    sources: &str,
    environment: Option<&str>,
    sandbox: &str,
) -> SetupCommand {
    setup(
        EXTENSION,
        &[environment.unwrap_or_default(), sources, sandbox],
    )
}

fn setup(script: &str, arguments: &[&str]) -> SetupCommand {
    let mut argv = start(script);
    argv.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    SetupCommand {
        argv,
        env: BTreeMap::new(),
        directory: None,
        timeout_s: SETUP_TIMEOUT_S,
    }
}

fn start(script: &str) -> Vec<String> {
    ["bash", "-c", script, "flagperf"].map(str::to_owned).into()
}
