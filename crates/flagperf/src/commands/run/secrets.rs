//! Secrets: the record has none, so a run that is taken up again takes them from what is said now.

use std::collections::BTreeMap;

use flagperf_config::{Choice, NodeSource, Settings};
use flagperf_model::{
    CONCEALED, ContainerOptions, Environment, Launcher, NodeSpec, Plan, concealed, concealed_words,
};

use super::dry_run;
use crate::cli::RunArgs;
use crate::exit::Failure;

/// The command line of this program, as the record keeps it.
pub(super) fn concealed_command() -> Vec<String> {
    let words: Vec<String> = std::env::args_os()
        .map(|argument| shown(&argument.to_string_lossy()))
        .collect();
    concealed_words(&words)
}

/// An argument; one that has words in it, as `--container-options` has, is shown without the secrets in these.
fn shown(argument: &str) -> String {
    let (option, text) = argument
        .split_once('=')
        .filter(|(option, _)| option.starts_with("--") && !option.contains(char::is_whitespace))
        .map_or(("", argument), |(option, text)| (option, text));
    let Ok(words) = flagperf_config::split(text) else {
        return argument.to_owned();
    };
    let concealed = concealed_words(&words);
    if words.len() < 2 || concealed == words {
        return argument.to_owned();
    }
    let equals = if option.is_empty() { "" } else { "=" };
    format!("{option}{equals}{}", dry_run::quoted(&concealed))
}

/// Puts the secrets into a plan that was read from a record.
pub(super) fn take_anew(args: &RunArgs, plan: &mut Plan) -> Result<(), Failure> {
    let of_cases = plan
        .cases
        .iter_mut()
        .filter_map(|case| case.container.as_mut());
    let of_plan = match &mut plan.environment {
        Environment::Container(container) => Some(container),
        Environment::Host | Environment::InContainer => None,
    };
    let mut containers: Vec<&mut ContainerOptions> = of_cases
        .chain(of_plan)
        .map(|container| &mut container.options)
        .filter(|options| !is_whole(options.env.values()) || !is_whole(&options.extra))
        .collect();
    let nodes_are_whole = plan.nodes.iter().all(is_whole_node);
    if nodes_are_whole && containers.is_empty() {
        return Ok(());
    }
    let settings = crate::commands::settings::of(args.nodes.config.as_deref())?;
    if !nodes_are_whole {
        of_nodes(&settings, &mut plan.nodes)?;
    }
    let words = args.container.container_options.as_deref();
    let now = flagperf_config::options_now(&settings, words).map_err(Failure::usage)?;
    containers
        .iter_mut()
        .try_for_each(|options| of_container(options, &now))
}

fn is_whole<'v>(values: impl IntoIterator<Item = &'v String>) -> bool {
    !values.into_iter().any(|value| value.contains(CONCEALED))
}

fn is_whole_node(node: &NodeSpec) -> bool {
    let words = match &node.launcher {
        Launcher::Exec { words } => &words[..],
        Launcher::Local | Launcher::Ssh(_) => &[],
    };
    is_whole(node.env.values()) && is_whole(words)
}

fn of_nodes(settings: &Settings, nodes: &mut [NodeSpec]) -> Result<(), Failure> {
    let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let choice = Choice {
        nodes: Some(NodeSource::List(names.join(","))),
        container: Some(false),
        ..Choice::default()
    };
    let now = flagperf_config::resolve(settings, &choice).map_err(Failure::usage)?;
    for node in nodes {
        let said = now.nodes.iter().find(|said| said.name == node.name);
        let place = format!("{}", node.name);
        let variables = said.map(|said| &said.env);
        fill(
            &mut node.env,
            variables,
            &place,
            "`env` of [defaults] or [node]",
        )?;
        if let Launcher::Exec { words } = &mut node.launcher
            && !is_whole(&*words)
        {
            let same = said.and_then(|said| match &said.launcher {
                Launcher::Exec { words: now } if concealed_words(now) == *words => Some(now),
                _ => None,
            });
            let Some(now) = same else {
                return Err(lacking(
                    &format!("the secret in the command that reaches {place}"),
                    "`exec`",
                ));
            };
            words.clone_from(now);
        }
    }
    Ok(())
}

fn of_container(options: &mut ContainerOptions, now: &ContainerOptions) -> Result<(), Failure> {
    const WHERE: &str = "`env` of [container], or with --container-options";
    fill(&mut options.env, Some(&now.env), "the containers", WHERE)?;
    if !is_whole(&options.extra) {
        if concealed_words(&now.extra) != options.extra {
            let words = options.extra.join(" ");
            return Err(lacking(
                &format!("the secret in the containers' options `{words}`"),
                "`options` of [container], or with --container-options, all of them",
            ));
        }
        options.extra.clone_from(&now.extra);
    }
    Ok(())
}

/// Variables whose value is not in the record get that of now.
fn fill(
    variables: &mut BTreeMap<String, String>,
    now: Option<&BTreeMap<String, String>>,
    place: &str,
    said_in: &str,
) -> Result<(), Failure> {
    for (name, value) in variables {
        if !value.contains(CONCEALED) {
            continue;
        }
        let found = now.and_then(|now| now.get(name));
        let Some(found) = found.filter(|found| concealed(name, found) == **value) else {
            return Err(lacking(&format!("`{name}` of {place}"), said_in));
        };
        value.clone_from(found);
    }
    Ok(())
}

fn lacking(what: &str, said_in: &str) -> Failure {
    Failure::usage(format!(
        "{what} is not in the record, which keeps no secrets, and is not said now"
    ))
    .hint(format!("say it as for the run itself, in {said_in}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_shown_without_secrets() {
        for (argument, expected) in [
            ("--gpus all", "--gpus all"),
            ("-e 'API_KEY=a b' --rm", "-e 'API_KEY=***' --rm"),
            (
                "--container-options=--gpus all -e HF_TOKEN=x",
                "--container-options=--gpus all -e 'HF_TOKEN=***'",
            ),
            ("an 'open quote", "an 'open quote"),
        ] {
            assert_eq!(shown(argument), expected);
        }
    }

    #[test]
    fn what_is_concealed_is_taken_from_what_is_said_now() {
        let said = |token: &str| ContainerOptions {
            env: [("HF_TOKEN", token), ("A", "1")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            extra: ["--log-opt", &format!("splunk-token={token}")]
                .map(str::to_owned)
                .to_vec(),
            ..ContainerOptions::default()
        };
        let mut options = said("s3cret").concealed();
        assert_eq!(options.env["HF_TOKEN"], CONCEALED);
        of_container(&mut options, &said("new")).unwrap();
        assert_eq!(options, said("new"));
        let mut lacks = said("s3cret").concealed();
        let error = of_container(&mut lacks, &ContainerOptions::default()).unwrap_err();
        assert!(error.text().contains("`HF_TOKEN` of the containers"));
    }
}
