//! The part of `flagperf.toml` that is about containers.

use std::path::Path;

use flagperf_model::{ContainerOptions, Mount};
use flagperf_text::Reader;
use toml::Spanned;
use toml::de::DeValue;

use super::values::variables;
use crate::container::{ContainerChoice, ENGINES, POLICIES};

const KEYS: [&str; 23] = [
    "engine",
    "image",
    "image_directory",
    "build",
    "build_once",
    "pull",
    "network",
    "ipc",
    "uts",
    "privileged",
    "init",
    "shm_size",
    "security",
    "ulimits",
    "devices",
    "mounts",
    "env",
    "workdir",
    "options",
    "setup",
    "setup_directory",
    "pip_source",
    "keep",
];

type Value<'d> = Spanned<DeValue<'d>>;

/// What a container of our own configurations shares with its node, unless something else is said: ranks meet
/// over the network and in shared memory.
const SHARED: &str = "host";

/// How a container is started if nothing is said about it.
pub(crate) fn usual_options() -> ContainerOptions {
    ContainerOptions {
        network: Some(SHARED.to_owned()),
        ipc: Some(SHARED.to_owned()),
        ..ContainerOptions::default()
    }
}

/// Reads `[container]`.
pub(super) fn read_container(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    file: &Path,
) -> Option<ContainerChoice> {
    let table = reader.table(value, "[container]")?;
    let section = reader.section(table, value.span().start, "[container]", &KEYS);
    let usual = usual_options();
    let mut text = |key: &str, expected: &str| {
        section
            .get(key)
            .and_then(|value| reader.text(value, expected))
    };
    let image = text("image", "the name of an image such as \"lab/torch:2.4\"");
    let image_directory = text("image_directory", "a directory with a Dockerfile");
    let setup_directory = text(
        "setup_directory",
        "a directory that the commands of `setup` run in",
    );
    let network = text("network", "\"host\", \"none\" or the name of a network");
    let ipc = text("ipc", "\"host\" or \"private\"");
    let uts = text("uts", "\"host\" or \"private\"");
    let shm_size = text("shm_size", "a size such as \"16G\"");
    let workdir = text("workdir", "a directory in the container");
    let pip_source = text("pip_source", "the address of a package index");
    let mut flag = |key: &str| section.get(key).and_then(|value| reader.boolean(value));
    let build_once = flag("build_once");
    let pull = flag("pull");
    let privileged = flag("privileged").unwrap_or_default();
    let init = flag("init").unwrap_or_default();
    let keep = flag("keep");
    let mut words = |key: &str, expected: &str| {
        let items = section.get(key).map(|value| texts(reader, value, expected));
        items.unwrap_or_default()
    };
    let security = words("security", "texts such as \"seccomp=unconfined\"");
    let ulimits = words("ulimits", "texts such as \"memlock=-1\"");
    let devices = words("devices", "device files such as \"/dev/davinci0\"");
    Some(ContainerChoice {
        engine: section
            .get("engine")
            .and_then(|value| reader.word(value, &ENGINES)),
        image,
        image_directory: image_directory.map(|path| beside(file, &path)),
        build: section
            .get("build")
            .and_then(|value| reader.word(value, &POLICIES)),
        pull,
        build_once,
        options: ContainerOptions {
            network: network.or(usual.network),
            ipc: ipc.or(usual.ipc),
            uts,
            privileged,
            init,
            shm_size,
            security,
            ulimits,
            devices,
            mounts: section
                .get("mounts")
                .map(|value| read_mounts(reader, value))
                .unwrap_or_default(),
            env: section
                .get("env")
                .and_then(|value| variables(reader, value))
                .unwrap_or_default(),
            workdir,
            extra: section
                .get("options")
                .and_then(|value| command(reader, value))
                .unwrap_or_default(),
        },
        setup: section
            .get("setup")
            .and_then(|value| reader.array(value, "a list of commands"))
            .map(|items| {
                items
                    .iter()
                    .filter_map(|item| command(reader, item))
                    .collect()
            })
            .unwrap_or_default(),
        setup_directory: setup_directory.map(|path| beside(file, &path)),
        pip_source,
        keep,
    })
}

/// A path of the controller, relative to the directory of the file.
pub(super) fn beside(file: &Path, path: &str) -> String {
    let directory = file.parent().unwrap_or(Path::new(""));
    directory.join(path).to_string_lossy().into_owned()
}

fn texts(reader: &mut Reader<'_>, value: &Value<'_>, expected: &str) -> Vec<String> {
    let items = reader.array(value, expected).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| reader.text(item, expected))
        .collect()
}

/// Words: a list of them, or one text that is split as a shell would, without one.
pub(super) fn command(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Vec<String>> {
    const EXPECTED: &str = "words, as one text or a list";
    if value.get_ref().as_array().is_some() {
        let words = texts(reader, value, EXPECTED);
        return (!words.is_empty()).then_some(words);
    }
    let text = reader.text(value, EXPECTED)?;
    let words = split(&text);
    if let Err(problem) = &words {
        reader.wrong(value.span(), problem.clone());
    }
    words.ok()
}

/// Splits words as a shell would; nothing in them is replaced or run.
///
/// # Errors
///
/// In words, that a quotation mark is never closed or a backslash ends the text.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    shlex::split(text)
        .ok_or_else(|| "a quotation mark is never closed, or a backslash ends the text".to_owned())
}

fn read_mounts(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<Mount> {
    const EXPECTED: &str = "mounts such as \"/data:/data\" or \"/data:/data:ro\"";
    let mut mounts = Vec::new();
    for item in reader.array(value, EXPECTED).unwrap_or_default() {
        let Some(text) = reader.text(item, EXPECTED) else {
            continue;
        };
        let parts: Vec<&str> = text.split(':').collect();
        let (from, to, rights) = match parts[..] {
            [from, to] => (from, to, "rw"),
            [from, to, rights] => (from, to, rights),
            [both] => (both, both, "rw"),
            _ => ("", "", ""),
        };
        if from.starts_with('/') && to.starts_with('/') && ["ro", "rw"].contains(&rights) {
            mounts.push(Mount {
                from: from.to_owned(),
                to: to.to_owned(),
                read_only: rights == "ro",
            });
        } else {
            let shown = flagperf_text::shown(&text);
            reader.wrong(
                item.span(),
                format!("`{shown}` is no mount; expected {EXPECTED}, with absolute paths"),
            );
        }
    }
    mounts
}
