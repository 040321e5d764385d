//! Container mode: from what was asked to what is planned.

use std::collections::BTreeMap;
use std::path::Path;

use flagperf_config::{ContainerChoice, Inventory};
use flagperf_container::find_install_script;
use flagperf_engine::Trees;
use flagperf_model::{ContainerPlan, Environment, ImageBuild, ImageSource, SetupCommand};

use super::packing;
use crate::exit::Failure;

/// A command that makes a container ready is ended when it has run this long, in seconds: an extension may
/// take its time to compile.
const SETUP_LIMIT_S: u32 = 1800;

/// What directories are called in errors.
const IMAGE_DIRECTORY: &str = "the directory of the image";
const SETUP_DIRECTORY: &str = "the directory of the setup commands";

/// The file from which engines build.
const DOCKERFILE: &str = "Dockerfile";

/// Looks at the image's directory and settles in what environment the cases run that bring no container of their own.
/// What is to be said about it comes back in words.
pub(super) fn settle(inventory: &mut Inventory, trees: &mut Trees) -> Result<Vec<String>, Failure> {
    let Some(request) = inventory.container.take() else {
        return Ok(Vec::new());
    };
    let mut words = Vec::new();
    let plan = planned(request.choice, trees, &mut words)?;
    inventory.environment = Environment::Container(Box::new(plan));
    inventory.environment_reason = Some(request.reason);
    Ok(words)
}

/// The container that is made of a choice, with the directories that it needs packed. What is to be said about it is
/// added to the words.
pub(super) fn planned(
    choice: ContainerChoice,
    trees: &mut Trees,
    words: &mut Vec<String>,
) -> Result<ContainerPlan, Failure> {
    let (image, source) = image(&choice, trees, words)?;
    if let Some(directory) = &choice.setup_directory {
        pack(directory, SETUP_DIRECTORY, trees)?;
    }
    Ok(ContainerPlan {
        engine: choice.engine,
        image,
        source,
        options: choice.options,
        setup: setup(
            choice.setup,
            choice.setup_directory.as_ref(),
            choice.pip_source,
        )?,
        owner: owner(),
        keep: choice.keep.unwrap_or_default(),
    })
}

/// Packs what a container of an earlier plan needs. Its image is that of the plan, so its directory must be unchanged.
pub(super) fn pack_again(plan: &ContainerPlan, trees: &mut Trees) -> Result<(), Failure> {
    if let ImageSource::Built(build) = &plan.source {
        let content = pack(&build.directory, IMAGE_DIRECTORY, trees)?;
        if content != build.content {
            return Err(Failure::usage(format!(
                "`{}` has changed since the run began, and its results would not be comparable",
                build.directory
            ))
            .hint("put the directory back as it was, or begin a new run"));
        }
    }
    for directory in plan
        .setup
        .iter()
        .filter_map(|command| command.directory.as_ref())
    {
        pack(directory, SETUP_DIRECTORY, trees)?;
    }
    Ok(())
}

fn image(
    choice: &ContainerChoice,
    trees: &mut Trees,
    words: &mut Vec<String>,
) -> Result<(String, ImageSource), Failure> {
    let Some(directory) = &choice.image_directory else {
        let source = if choice.pull == Some(true) {
            ImageSource::Pulled
        } else {
            ImageSource::Present
        };
        return Ok((choice.image.clone().unwrap_or_default(), source));
    };
    let content = pack(directory, IMAGE_DIRECTORY, trees)?;
    let files = names(Path::new(directory)).map_err(|error| {
        Failure::usage(format!(
            "the directory of the image, `{directory}`, cannot be read: {error}"
        ))
    })?;
    if !files.iter().any(|name| name == DOCKERFILE) {
        return Err(Failure::usage(format!(
            "`{directory}` has no file `{DOCKERFILE}`, from which the image is to be built"
        )));
    }
    let canonical = Path::new(directory)
        .canonicalize()
        .map_err(Failure::usage)?;
    let framework = canonical
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let install = find_install_script(&framework, &files).map_err(|error| {
        Failure::usage(format!("`{directory}`: {error}"))
            .hint("give the one that is meant that name, and the others another ending")
    })?;
    if let Some(install) = &install
        && let Some(expected) = &install.expected
    {
        words.push(format!(
            "`{directory}` has no `{expected}`; `{}` is taken for it",
            install.script
        ));
    }
    let name = choice
        .image
        .clone()
        .or_else(|| classic_name(&canonical))
        .unwrap_or_else(|| format!("flagperf-{}:{}", plain(&framework), &content[..12]));
    let build = ImageBuild {
        directory: directory.clone(),
        install: install.map(|install| install.script),
        content,
        policy: choice.build.unwrap_or_default(),
        once: choice.build_once.unwrap_or_default(),
    };
    Ok((name, ImageSource::Built(build)))
}

/// How the case libraries call the image of a directory of theirs: `base/vendors/<vendor>/<framework>` and the like.
fn classic_name(directory: &Path) -> Option<String> {
    const VERSION: &str = "t_v0.1";
    let mut parts = directory.iter().rev().filter_map(|part| part.to_str());
    let (framework, third, fourth, fifth) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (prefix, vendor) = match (fifth, fourth, third) {
        (suite @ ("base" | "operation"), "vendors", vendor) => {
            (format!("flagperf-{suite}"), vendor)
        }
        ("inference", "docker_images", vendor) => ("flagperf-inference".to_owned(), vendor),
        ("training", vendor, "docker_image") => ("flagperf".to_owned(), vendor),
        _ => return None,
    };
    let name = format!("{prefix}-{vendor}-{framework}");
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    name.chars()
        .all(allowed)
        .then(|| format!("{name}:{VERSION}"))
}

/// A name as engines allow it.
fn plain(name: &str) -> String {
    let letters = name.to_lowercase().chars().collect::<Vec<char>>();
    let plain: String = letters
        .into_iter()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let plain = plain.trim_matches('-').to_owned();
    if plain.is_empty() {
        "image".to_owned()
    } else {
        plain
    }
}

fn names(directory: &Path) -> std::io::Result<Vec<String>> {
    std::fs::read_dir(directory)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// Packs a directory for the nodes, if that was not done yet; returns what names its content.
fn pack(directory: &str, what: &str, trees: &mut Trees) -> Result<String, Failure> {
    let packed = packing::whole(directory, what, trees)?;
    flagperf_archive::digest(&packed).map_err(Failure::internal)
}

fn setup(
    commands: Vec<Vec<String>>,
    directory: Option<&String>,
    pip_source: Option<String>,
) -> Result<Vec<SetupCommand>, Failure> {
    // The libraries' own name for it comes first, as they write it into their configuration.
    let source = match pip_source {
        Some(source) => Some(source),
        None => super::inventory::variable("PIP_SOURCE")?.filter(|source| !source.is_empty()),
    };
    if source
        .as_deref()
        .is_some_and(|source| flagperf_model::concealed("PIP_SOURCE", source) != source)
    {
        return Err(Failure::usage(
            "the address of the package index has a password in it, and the plan, the record and the log of a run would show it",
        )
        .hint("put it into the image's own pip.conf or .netrc, and leave it out of the address"));
    }
    for argv in &commands {
        let shown = flagperf_model::concealed_words(argv);
        if shown != *argv {
            return Err(Failure::usage(format!(
                "the setup command `{}` has a secret among its words, and the record and the log of a run would show it",
                shown.join(" ")
            ))
            .hint("give it as a variable in `env` of [container]: its value is not recorded"));
        }
    }
    let env: BTreeMap<String, String> = source
        .into_iter()
        .flat_map(|source| {
            ["PIP_SOURCE", "PIP_INDEX_URL"].map(|name| (name.to_owned(), source.clone()))
        })
        .collect();
    let commands = commands.into_iter().map(|argv| SetupCommand {
        argv,
        env: env.clone(),
        directory: directory.cloned(),
        timeout_s: SETUP_LIMIT_S,
    });
    Ok(commands.collect())
}

/// Who makes the containers: `uid@host`. The number of the user is the same in every shell, cron and sudo included,
/// which the variables that name him are not.
pub(crate) fn owner() -> String {
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .replace(
            |c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c),
            "_",
        );
    format!("{}@{host}", rustix::process::getuid().as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_the_libraries_have_classic_names() {
        for (path, name) in [
            (
                "/x/base/vendors/nvidia/pytorch_2.3",
                Some("flagperf-base-nvidia-pytorch_2.3:t_v0.1"),
            ),
            (
                "/x/operation/vendors/nvidia/ngctorch2403",
                Some("flagperf-operation-nvidia-ngctorch2403:t_v0.1"),
            ),
            (
                "/x/inference/docker_images/nvidia/pytorch_2.1",
                Some("flagperf-inference-nvidia-pytorch_2.1:t_v0.1"),
            ),
            (
                "/x/training/nvidia/docker_image/pytorch_1.8",
                Some("flagperf-nvidia-pytorch_1.8:t_v0.1"),
            ),
            ("/x/images/torch", None),
            ("/base/vendors/NVIDIA/torch", None),
        ] {
            assert_eq!(classic_name(Path::new(path)).as_deref(), name, "{path}");
        }
    }

    #[test]
    fn names_are_made_such_as_engines_allow() {
        assert_eq!(plain("pytorch_2.3"), "pytorch-2-3");
        assert_eq!(plain("Große Übung"), "gro-e--bung");
        assert_eq!(plain("…"), "image");
    }
}
