//! Container mode: what is said about the container, and what of it holds.

use flagperf_model::{BuildPolicy, ContainerOptions, EngineKind};

use crate::resolve::ResolveError;
use crate::settings::{Settings, split, usual_options};

/// The words for engines.
pub(crate) const ENGINES: [(&str, EngineKind); 3] = [
    ("docker", EngineKind::Docker),
    ("podman", EngineKind::Podman),
    ("nerdctl", EngineKind::Nerdctl),
];

/// The words for when an image is built.
pub(crate) const POLICIES: [(&str, BuildPolicy); 3] = [
    ("never", BuildPolicy::Never),
    ("auto", BuildPolicy::Auto),
    ("always", BuildPolicy::Always),
];

/// What the command line or a file says about the container. What is absent was not said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerChoice {
    /// The engine.
    pub engine: Option<EngineKind>,
    /// Name of the image.
    pub image: Option<String>,
    /// The directory that it is built from.
    pub image_directory: Option<String>,
    /// When it is built.
    pub build: Option<BuildPolicy>,
    /// Whether it is fetched before each run.
    pub pull: Option<bool>,
    /// Whether one node builds it for all.
    pub build_once: Option<bool>,
    /// How the container is started.
    pub options: ContainerOptions,
    /// Commands that make it ready.
    pub setup: Vec<Vec<String>>,
    /// The directory that these run in a copy of.
    pub setup_directory: Option<String>,
    /// Where pip finds packages.
    pub pip_source: Option<String>,
    /// Whether it is left for looking into.
    pub keep: Option<bool>,
}

/// The container that a run is to make. The image comes from a directory, from a registry, or is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRequest {
    /// What was said, command line over file.
    pub choice: ContainerChoice,
    /// How it was decided that there is one, in words for the log.
    pub reason: String,
}

impl ContainerChoice {
    /// True if something was said that only makes sense with a container.
    fn says_something(&self) -> bool {
        *self != Self::default()
    }

    /// What the command line says, over what the file says.
    fn over(self, file: Option<&Self>) -> Self {
        let file = file.cloned().unwrap_or_else(|| Self {
            options: usual_options(),
            ..Self::default()
        });
        let mut options = file.options;
        options.privileged |= self.options.privileged;
        options.extra.extend(self.options.extra);
        options.take_secrets_from_words();
        Self {
            engine: self.engine.or(file.engine),
            image: self.image.or(file.image),
            image_directory: self.image_directory.or(file.image_directory),
            build: self.build.or(file.build),
            pull: self.pull.or(file.pull),
            build_once: self.build_once.or(file.build_once),
            options,
            setup: file.setup,
            setup_directory: file.setup_directory,
            pip_source: self.pip_source.or(file.pip_source),
            keep: self.keep.or(file.keep),
        }
    }
}

/// What is said now of how containers are started, by the settings and by `--container-options`: for what the record
/// of a run does not keep.
///
/// # Errors
///
/// A quotation mark of `words` is never closed.
pub fn options_now(
    settings: &Settings,
    words: Option<&str>,
) -> Result<ContainerOptions, ResolveError> {
    let mut line = ContainerChoice::default();
    if let Some(text) = words {
        line.options.extra = option_words(text)?;
    }
    Ok(line.over(settings.container.as_ref()).options)
}

/// `--container-options`, in words.
pub(crate) fn option_words(text: &str) -> Result<Vec<String>, ResolveError> {
    split(text).map_err(|problem| ResolveError::Choice(format!("--container-options: {problem}")))
}

/// What was said about containers, and where.
pub(crate) struct Asked<'a> {
    /// `--container`.
    pub(crate) flag: Option<bool>,
    /// What else the command line says.
    pub(crate) line: &'a ContainerChoice,
    /// `[container]` of the settings.
    pub(crate) file: Option<&'a ContainerChoice>,
    /// True if the cases are of a classic suite: they name their images themselves, and run in containers unless
    /// something else is said.
    pub(crate) suite: bool,
}

/// Decides whether a run makes containers. `in_container` tells how in-container mode was switched on, if it was.
pub(crate) fn decide(
    asked: &Asked<'_>,
    in_container: Option<&str>,
) -> Result<Option<ContainerRequest>, ResolveError> {
    let Asked {
        flag, line, file, ..
    } = *asked;
    let wanted = flag == Some(true) || (flag.is_none() && line.says_something());
    if let Some(reason) = in_container {
        return if wanted {
            Err(ResolveError::Choice(format!(
                "a container is asked for, but the nodes are containers already ({reason}): leave out one of them"
            )))
        } else {
            Ok(None)
        };
    }
    let reason = match (flag, file) {
        (Some(false), _) => return Ok(None),
        (Some(true), _) => "--container: container mode",
        (None, _) if wanted => "an option about the container: container mode",
        (None, Some(_)) => "[container] in flagperf.toml: container mode",
        (None, None) if asked.suite => {
            "the suite's cases name their images, and in-container mode is off: container mode"
        }
        (None, None) => return Ok(None),
    };
    let choice = line.clone().over(file);
    check(&choice, asked.suite)?;
    Ok(Some(ContainerRequest {
        choice,
        reason: reason.to_owned(),
    }))
}

/// `suite` is true if the cases name their images themselves.
fn check(choice: &ContainerChoice, suite: bool) -> Result<(), ResolveError> {
    let wrong = |text: &str| Err(ResolveError::Choice(text.to_owned()));
    if choice.image.is_none() && choice.image_directory.is_none() && !suite {
        return wrong(
            "container mode needs an image: --image NAME for one that is there, or --image-directory DIR with a Dockerfile",
        );
    }
    if choice.pull == Some(true) && choice.image_directory.is_some() {
        return wrong(
            "an image is either fetched (--pull) or built (--image-directory): leave out one of them",
        );
    }
    let builds = choice.image_directory.is_some() || (suite && choice.image.is_none());
    if !builds && choice.build.is_some() {
        return wrong("--build says when an image is built, but no --image-directory is given");
    }
    if !builds && choice.build_once == Some(true) {
        return wrong("--build-once is about building, but no --image-directory is given");
    }
    if let Some(name) = &choice.image
        && !is_image_name(name)
    {
        return wrong(&format!(
            "`{}` is no name of an image; expected one such as `lab/torch:2.4`",
            flagperf_text::printable(flagperf_text::shown(name))
        ));
    }
    check_extra(&choice.options.extra)
}

/// Options that would undo what the mode itself sets.
const OURS: [&str; 11] = [
    "--name",
    "--detach",
    "-d",
    "--tty",
    "-t",
    "-it",
    "--rm",
    "--restart",
    "--entrypoint",
    "--cidfile",
    "--",
];

fn check_extra(words: &[String]) -> Result<(), ResolveError> {
    let ours = words.iter().enumerate().find(|(place, word)| {
        let name = word.split_once('=').map_or(&word[..], |(name, _)| name);
        let label = ["--label", "-l"].contains(&name)
            && format!("{word} {}", words.get(place + 1).map_or("", String::as_str))
                .contains("org.flagperf.");
        OURS.contains(&name) || label
    });
    match ours {
        None => Ok(()),
        Some((_, word)) => Err(ResolveError::Choice(format!(
            "the container's options have `{}`, which container mode sets itself: leave it out",
            flagperf_text::printable(flagperf_text::shown(word))
        ))),
    }
}

/// Names of images have letters, digits and `. _ - / : @`, and begin with a letter or digit. Engines are
/// stricter, but none of these can be taken for an option.
fn is_image_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_image() -> ContainerChoice {
        ContainerChoice {
            image: Some("lab/torch:2".into()),
            ..ContainerChoice::default()
        }
    }

    fn text(result: Result<Option<ContainerRequest>, ResolveError>) -> String {
        match result {
            Ok(request) => request.map_or("none".into(), |request| request.reason),
            Err(error) => error.to_string(),
        }
    }

    fn asked<'a>(
        flag: Option<bool>,
        line: &'a ContainerChoice,
        file: Option<&'a ContainerChoice>,
    ) -> Asked<'a> {
        Asked {
            flag,
            line,
            file,
            suite: false,
        }
    }

    #[test]
    fn a_suite_runs_in_containers_of_its_own_images() {
        let none = ContainerChoice::default();
        let with = |flag, line: &ContainerChoice, inside| {
            let suite = true;
            text(decide(
                &Asked {
                    suite,
                    ..asked(flag, line, None)
                },
                inside,
            ))
        };
        assert!(with(None, &none, None).contains("name their images"));
        assert!(with(Some(true), &none, None).contains("--container"));
        assert_eq!(with(Some(false), &none, None), "none");
        assert_eq!(with(None, &none, Some("EXEC_IN_CONTAINER=1")), "none");
        let always = ContainerChoice {
            build: Some(BuildPolicy::Always),
            ..none
        };
        assert!(with(None, &always, None).contains("an option about"));
    }

    #[test]
    fn the_mode_is_decided_by_what_was_said() {
        let none = ContainerChoice::default();
        let image = with_image();
        for (flag, line, file, inside, expected) in [
            (None, &none, None, None, "none"),
            (None, &image, None, None, "an option about the container"),
            (
                None,
                &none,
                Some(&image),
                None,
                "[container] in flagperf.toml",
            ),
            (
                Some(true),
                &image,
                None,
                None,
                "--container: container mode",
            ),
            (Some(false), &image, Some(&image), None, "none"),
            (
                Some(true),
                &none,
                None,
                None,
                "container mode needs an image",
            ),
            (
                None,
                &none,
                Some(&image),
                Some("EXEC_IN_CONTAINER=1"),
                "none",
            ),
            (
                None,
                &image,
                None,
                Some("EXEC_IN_CONTAINER=1"),
                "containers already (EXEC_IN_CONTAINER=1)",
            ),
        ] {
            let found = text(decide(&asked(flag, line, file), inside));
            assert!(found.contains(expected), "{found} is not {expected}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let with = |change: fn(&mut ContainerChoice)| {
            let mut choice = with_image();
            change(&mut choice);
            text(decide(&asked(Some(true), &choice, None), None))
        };
        assert!(with(|c| c.build = Some(BuildPolicy::Always)).contains("no --image-directory"));
        let both = with(|c| {
            c.pull = Some(true);
            c.image_directory = Some("d".into());
        });
        assert!(both.contains("either fetched (--pull) or built"), "{both}");
        for name in ["-v", "a b", "$(x)", ""] {
            let choice = ContainerChoice {
                image: Some(name.into()),
                ..ContainerChoice::default()
            };
            let found = text(decide(&asked(Some(true), &choice, None), None));
            assert!(found.contains("is no name of an image"), "{found}");
        }
    }

    #[test]
    fn options_that_undo_ours_are_refused() {
        for words in [
            &["--name=x"][..],
            &["-d"],
            &["--gpus", "all", "--restart", "always"],
            &["--label", "org.flagperf.owner=eve"],
        ] {
            let options = ContainerOptions {
                extra: words.iter().map(|&word| word.to_owned()).collect(),
                ..Default::default()
            };
            let choice = ContainerChoice {
                options,
                ..with_image()
            };
            let found = text(decide(&asked(Some(true), &choice, None), None));
            assert!(
                found.contains("which container mode sets itself"),
                "{words:?}: {found}"
            );
        }
        let options = ContainerOptions {
            extra: ["--label", "a=b", "--device", "/dev/x"]
                .map(str::to_owned)
                .to_vec(),
            ..Default::default()
        };
        assert!(
            decide(
                &asked(
                    Some(true),
                    &ContainerChoice {
                        options,
                        ..with_image()
                    },
                    None
                ),
                None
            )
            .is_ok()
        );
    }

    #[test]
    fn the_command_line_comes_before_the_file() {
        let file = ContainerChoice {
            image: Some("old:1".into()),
            options: ContainerOptions {
                extra: vec!["--init".into()],
                ..Default::default()
            },
            ..Default::default()
        };
        let line = ContainerChoice {
            options: ContainerOptions {
                extra: vec!["--gpus".into(), "all".into()],
                ..Default::default()
            },
            ..with_image()
        };
        let choice = decide(&asked(None, &line, Some(&file)), None)
            .unwrap()
            .unwrap()
            .choice;
        assert_eq!(choice.image.as_deref(), Some("lab/torch:2"));
        assert_eq!(choice.options.extra, ["--init", "--gpus", "all"]);
    }
}
