//! The steps of container mode, in words.

use std::fmt::Write as _;

use flagperf_model::{
    BuildPolicy, ContainerPlan, EngineKind, Group, ImageSource, OWN_PROGRAM, Plan, SetupCommand,
    StepKind,
};

use super::{abridged, quoted};

/// The four steps, as they are taken for a group of rounds.
pub(super) fn describe(plan: &Plan, group: &Group<'_>, container: &ContainerPlan) -> String {
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
    let name = flagperf_container::name(plan.run.as_str(), "RANK", group.number);
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
        let _ = writeln!(
            text,
            "{}{}",
            StepKind::ConfigureContainer,
            setup(command, "")
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

/// A command that makes a place ready: where it runs, its variables and its words.
pub(super) fn setup(command: &SetupCommand, elsewhere: &str) -> String {
    let directory = match &command.directory {
        Some(path) => format!(" (in a copy of {path})"),
        None => elsewhere.to_owned(),
    };
    let env: Vec<String> = command
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value} "))
        .collect();
    format!(
        "{directory}: {}{}",
        env.concat(),
        quoted(&abridged(&command.argv))
    )
}
