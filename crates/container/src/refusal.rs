//! What an engine's refusal means, and what can be done about it.

use flagperf_model::EngineKind;

use crate::Invocation;

/// Why an engine did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What happened, with the engine's words and the option that it refused.
    pub reason: String,
    /// What can be done about it.
    pub hint: Option<String>,
}

/// What engines say, and what helps. The first text that occurs decides. `{}` stands for the engine.
const KNOWN: &[(&str, &str)] = &[
    (
        "permission denied while trying to connect to the docker",
        "this user may not use the engine: add it to the group `docker` on the node, use a rootless engine, or log in as another user",
    ),
    (
        "connect: permission denied",
        "this user may not use the engine: add it to the group that owns its socket, use a rootless engine, or log in as another user",
    ),
    (
        "cannot connect to the docker daemon",
        "the engine does not run there: start it (`systemctl start docker`), or set DOCKER_HOST for the user's logins",
    ),
    (
        "error during connect",
        "the engine does not answer there: check that it runs, and DOCKER_HOST",
    ),
    (
        "cannot connect to podman",
        "the engine does not run there: start its socket, or unset CONTAINER_HOST",
    ),
    (
        "cannot access containerd socket",
        "this user may not use containerd: log in as root, or set up rootless containerd",
    ),
    (
        "it took longer than",
        "the engine does not answer: look at it on the node (`{} info`), and start it again",
    ),
    (
        ": permission denied",
        "the image's user may not run the program there, or a directory is mounted noexec: look at USER in the Dockerfile and at --tmpfs, which takes `:exec`",
    ),
    (
        "is already in use",
        "a container of somebody else has that name, and is left alone: remove it yourself if nobody needs it",
    ),
    (
        "could not select device driver",
        "the engine has no runtime for these devices: install the vendor's container toolkit on the node",
    ),
    (
        "unresolvable cdi devices",
        "the engine knows no such device: generate the vendor's CDI specification on the node",
    ),
    (
        "error gathering device information",
        "there is no such device on this node: leave it out of the devices, or load its driver",
    ),
    (
        "error while creating mount source path",
        "make that directory on the node, or leave it out of the mounts",
    ),
    (
        "bind source path does not exist",
        "make that directory on the node, or leave it out of the mounts",
    ),
    (
        "no space left on device",
        "make room where the engine keeps its data: `{} system df` tells what takes it",
    ),
    (
        "unknown flag",
        "this engine has no such option: leave it out of the container's options",
    ),
    (
        "unknown shorthand flag",
        "this engine has no such option: leave it out of the container's options",
    ),
    (
        "flag provided but not defined",
        "this engine has no such option: leave it out of the container's options",
    ),
    (
        "no such image",
        "build it (--image-directory), fetch it (--pull), or load it on the node (`{} load`)",
    ),
    (
        "image not known",
        "build it (--image-directory), fetch it (--pull), or load it on the node (`{} load`)",
    ),
    (
        "pull access denied",
        "check the image's name; if its registry wants a login, run `{} login` there as this user",
    ),
    (
        "manifest unknown",
        "its registry has no such tag: check the image's name",
    ),
    (
        "no such host",
        "the node does not reach the registry: load the image there, or build it from a directory",
    ),
    (
        "dial tcp",
        "the node does not reach the registry: load the image there, or build it from a directory",
    ),
    (
        "exec format error",
        "the image is for another kind of processor than this node has",
    ),
    (
        "operation not permitted",
        "the node forbids what one of the options asks for: try without --privileged, --ulimit and --security-opt",
    ),
    (
        "mounts denied",
        "share that directory with the engine's virtual machine",
    ),
];

/// True if an engine says that it has no container of that name.
pub fn is_unknown(words: &str) -> bool {
    let lower = words.to_lowercase();
    [
        "no such container",
        "no container with name or id",
        "no such object",
    ]
    .iter()
    .any(|text| lower.contains(text))
}

/// A command of an engine that ended with another status than 0. `words` is what it printed.
pub fn refusal(invocation: &Invocation, status: &str, words: &str) -> Refusal {
    let engine = invocation.engine().command();
    let said = last_lines(words);
    let mut reason = if said.is_empty() {
        format!("`{engine}` failed ({status}) and said nothing")
    } else {
        format!("`{engine}` refused ({status}): {said}")
    };
    if let Some(option) = refused_option(invocation, &said) {
        reason = format!("{reason} (its option `{option}`)");
    }
    let lower = format!("{status} {words}").to_lowercase();
    let hint = if is_loader_missing(&lower) {
        Some("the image has no C library that the program can use: it needs glibc 2.17 or newer, which images of Alpine and of BusyBox lack".to_owned())
    } else {
        KNOWN
            .iter()
            .find(|(text, _)| lower.contains(text))
            .map(|(_, hint)| hint.replace("{}", engine))
    };
    Refusal { reason, hint }
}

/// The program is there, but not the loader that its first lines name.
fn is_loader_missing(lower: &str) -> bool {
    lower.contains(&format!("{}: no such file", crate::AGENT_PATH))
        || lower.contains(&format!("{}\": no such file", crate::AGENT_PATH))
        || lower.contains(&format!("{}: not found", crate::AGENT_PATH))
        || lower.contains(&format!("{}` not found", crate::AGENT_PATH))
}

/// None of the engines could be used. `tried` has each with the reason.
pub fn unusable(tried: &[(EngineKind, Option<Refusal>)]) -> Refusal {
    if let [(engine, None)] = tried {
        return Refusal {
            reason: format!("it has no `{engine}`"),
            hint: Some(format!(
                "install {engine} there, or name another engine with --engine"
            )),
        };
    }
    // An engine that is there and refuses is what is to be mended.
    if let Some((_, Some(refusal))) = tried.iter().find(|(_, refusal)| refusal.is_some()) {
        return refusal.clone();
    }
    Refusal {
        reason: "it has no container engine: neither docker, podman nor nerdctl is installed there"
            .to_owned(),
        hint: Some(
            "install one; or if the node is a container itself, run with --in-container".to_owned(),
        ),
    }
}

/// The option that an engine's words are about: the one of which the most is found in them.
fn refused_option(invocation: &Invocation, said: &str) -> Option<String> {
    // Of this engines name no option, but only one asks for it.
    let devices = said.contains("could not select device driver");
    let mut best: Option<(usize, String)> = None;
    for option in invocation.options() {
        let [name, values @ ..] = &option[..] else {
            continue;
        };
        // What the program itself needs is no option that anybody could leave out.
        if option.iter().any(|word| word.contains(crate::AGENT_PATH)) {
            continue;
        }
        // `--name=value` is one word.
        let (name, value) = name.split_once('=').unwrap_or((name, ""));
        let values = values.iter().map(String::as_str).chain([value]);
        let parts =
            values.flat_map(|value| [value].into_iter().chain(value.split([':', '=', ','])));
        let longest = parts
            .filter(|part| part.len() > 3 && said.contains(part))
            .map(str::len)
            .max()
            .unwrap_or(0);
        let named = said.contains(name)
            || said.contains(&format!("flag: '{}'", name.trim_start_matches('-')));
        let named = named || (devices && ["--gpus", "--runtime"].contains(&name));
        let score = longest + if named { 1000 } else { 0 };
        if score > 0 && best.as_ref().is_none_or(|(known, _)| score > *known) {
            best = Some((score, option.join(" ")));
        }
    }
    best.map(|(_, option)| option)
}

/// The lines of an engine that tell most: the last ones, without its advice to read its help.
fn last_lines(words: &str) -> String {
    let lines: Vec<&str> = words
        .lines()
        .map(str::trim)
        .filter(|line| {
            // What an engine told of its client is no reason.
            !line.is_empty()
                && !line.starts_with('{')
                && !line.starts_with("See '")
                && !line.ends_with("--help'.")
        })
        .filter(|line| !line.starts_with("Run 'docker"))
        .collect();
    lines[lines.len().saturating_sub(3)..].join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Labels, run};
    use flagperf_model::ContainerOptions;
    use proptest::prelude::*;

    fn started(extra: &[&str]) -> Invocation {
        let options = ContainerOptions {
            devices: vec!["/dev/davinci0".into()],
            extra: extra.iter().map(|&word| word.to_owned()).collect(),
            ..ContainerOptions::default()
        };
        run(
            EngineKind::Docker,
            "n",
            "image:1",
            "/p",
            &options,
            &Labels::default(),
            false,
        )
    }

    #[test]
    fn the_refused_option_is_named() {
        for (extra, words, option) in [
            (
                &["--gpu", "all"][..],
                "unknown flag: --gpu\nSee 'docker run --help'.",
                "--gpu all",
            ),
            (
                &["--gpus", "\"device=0,1\""],
                "docker: Error response from daemon: could not select device driver \"\" with capabilities: [[gpu]].",
                "--gpus \"device=0,1\"",
            ),
            (
                &[],
                "docker: Error response from daemon: error gathering device information while adding custom device \"/dev/davinci0\": no such file or directory.",
                "--device /dev/davinci0",
            ),
            (
                &["--memory=lots"],
                "invalid argument \"lots\" for \"-m, --memory\" flag: invalid size: 'lots'",
                "--memory=lots",
            ),
        ] {
            let refusal = refusal(&started(extra), "exit status 125", words);
            assert!(
                refusal.reason.contains(words.lines().next().unwrap()),
                "{}",
                refusal.reason
            );
            if option.is_empty() {
                assert!(!refusal.reason.contains("its option"), "{}", refusal.reason);
            } else {
                let named = format!("(its option `{option}`)");
                assert!(refusal.reason.ends_with(&named), "{}", refusal.reason);
            }
        }
    }

    #[test]
    fn what_helps_is_said() {
        for (words, hint) in [
            (
                "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
                "add it to the group `docker`",
            ),
            (
                "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
                "systemctl start docker",
            ),
            (
                "write /var/lib/x: no space left on device",
                "`docker system df`",
            ),
            (
                "Get \"https://lab/v2/\": dial tcp: address lab: no suitable address found",
                "does not reach the registry",
            ),
            (
                "exec: \"/.flagperf\": no such file or directory: unknown",
                "glibc 2.17",
            ),
            (
                "Conflict. The container name \"/n\" is already in use by container \"12\".",
                "left alone",
            ),
        ] {
            let refusal = refusal(&started(&[]), "exit status 1", words);
            assert!(
                refusal.hint.as_deref().unwrap_or_default().contains(hint),
                "{words}: {refusal:?}"
            );
        }
    }

    #[test]
    fn an_engine_that_is_there_is_the_one_to_mend() {
        let denied = Refusal {
            reason: "denied".into(),
            hint: None,
        };
        let tried = [
            (EngineKind::Docker, Some(denied.clone())),
            (EngineKind::Podman, None),
        ];
        assert_eq!(unusable(&tried), denied);
        assert!(
            unusable(&[(EngineKind::Docker, None), (EngineKind::Podman, None)])
                .reason
                .contains("neither docker")
        );
        assert_eq!(
            unusable(&[(EngineKind::Podman, None)]).reason,
            "it has no `podman`"
        );
    }

    proptest! {
        #[test]
        fn any_words_are_safe(words in "(.|\n){0,300}", extra in prop::collection::vec(".{0,12}", 0..4)) {
            let extra: Vec<&str> = extra.iter().map(String::as_str).collect();
            let _ = refusal(&started(&extra), "exit status 1", &words);
        }
    }
}
