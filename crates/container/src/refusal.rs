//! What an engine's refusal means, and what can be done about it.

use flagperf_model::EngineKind;

use crate::Invocation;
use crate::hint::hint;

/// Why an engine did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What happened, with the engine's words and the option that it refused.
    pub reason: String,
    /// What can be done about it.
    pub hint: Option<String>,
}

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

/// True if an engine says that a container needs what was to be removed.
pub fn is_needed(words: &str) -> bool {
    let lower = words.to_lowercase();
    [
        "is being used by",
        "in use by a container",
        "is using its referenced image",
    ]
    .iter()
    .any(|text| lower.contains(text))
}

/// A command of an engine that ended with another status than 0. `words` is what it printed.
pub fn refusal(invocation: &Invocation, status: &str, words: &str) -> Refusal {
    let engine = invocation.engine().command();
    let told = last_lines(words);
    let said = invocation.concealed(&told);
    let mut reason = if said.is_empty() {
        format!("`{engine}` failed ({status}) and said nothing")
    } else {
        format!("`{engine}` refused ({status}): {said}")
    };
    if let Some(option) = refused_option(invocation, &told) {
        reason = format!("{reason} (its option `{option}`)");
    }
    let words: Vec<String> = words.lines().map(message).collect();
    let hint = hint(engine, &format!("{status} {}", words.join("\n")));
    Refusal { reason, hint }
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
            best = Some((score, flagperf_model::concealed_words(option).join(" ")));
        }
    }
    best.map(|(_, option)| option)
}

/// The lines of an engine that tell most: the last ones, without its advice to read its help.
fn last_lines(words: &str) -> String {
    let lines: Vec<String> = words
        .lines()
        .map(message)
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

/// What a line says, without the time and the level that Podman and nerdctl put before it.
fn message(line: &str) -> String {
    let line = line.trim();
    let logged = line.strip_prefix("time=").and_then(|rest| {
        let (_, quoted) = rest.split_once(" msg=")?;
        // They quote as JSON does; what comes after the message is a matter of its own.
        let mut values = serde_json::Deserializer::from_str(quoted).into_iter::<String>();
        values.next()?.ok()
    });
    let text = logged.unwrap_or_else(|| line.to_owned());
    text.lines().collect::<Vec<_>>().join(" ")
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
    fn what_is_logged_is_told_without_the_log() {
        let words = concat!(
            r#"time="2026-01-02T03:04:05Z" level=warning msg="cannot set cgroup manager""#,
            "\n",
            r#"time="2026-01-02T03:04:05Z" level=fatal msg="name \"n\" is already used by ID \"12\"" error=x"#,
        );
        let refusal = refusal(&started(&[]), "exit status 1", words);
        assert_eq!(
            refusal.reason,
            "`docker` refused (exit status 1): cannot set cgroup manager; name \"n\" is already used by ID \"12\""
        );
        assert!(refusal.hint.unwrap().contains("left alone"));
        let loader =
            r#"time="t" level=fatal msg="exec: \"/.flagperf\": no such file or directory""#;
        let told = super::refusal(&started(&[]), "exit status 1", loader);
        assert!(told.hint.unwrap().contains("glibc"));
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
