//! Argument vectors of engines.

use std::collections::BTreeMap;

use flagperf_model::{CONCEALED, ContainerOptions, EngineKind};

use crate::Labels;

/// Where the program is seen in a container.
pub const AGENT_PATH: &str = "/.flagperf";

/// A command of an engine. Its options are kept apart, so that a refused one can be named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    engine: EngineKind,
    verb: Vec<String>,
    options: Vec<Vec<String>>,
    rest: Vec<String>,
    /// What no message may show.
    secrets: Vec<String>,
}

impl Invocation {
    fn new(engine: EngineKind, verb: &[&str]) -> Self {
        Self {
            engine,
            verb: verb.iter().map(|&word| word.to_owned()).collect(),
            options: Vec::new(),
            rest: Vec::new(),
            secrets: Vec::new(),
        }
    }

    fn flag(mut self, flag: &str) -> Self {
        self.options.push(vec![flag.to_owned()]);
        self
    }

    fn is_nerdctl(&self) -> bool {
        self.engine == EngineKind::Nerdctl
    }

    fn option(mut self, name: &str, value: impl Into<String>) -> Self {
        self.options.push(vec![name.to_owned(), value.into()]);
        self
    }

    fn each(self, name: &str, values: impl IntoIterator<Item = String>) -> Self {
        values
            .into_iter()
            .fold(self, |this, value| this.option(name, value))
    }

    fn maybe(self, name: &str, value: Option<&String>) -> Self {
        self.each(name, value.cloned())
    }

    fn then(mut self, words: &[&str]) -> Self {
        self.rest.extend(words.iter().map(|&word| word.to_owned()));
        self
    }

    /// The argument vector.
    pub fn argv(&self) -> Vec<String> {
        let command = std::iter::once(self.engine.command().to_owned());
        command
            .chain(self.verb.iter().cloned())
            .chain(self.options.iter().flatten().cloned())
            .chain(self.rest.iter().cloned())
            .collect()
    }

    /// The engine.
    pub fn engine(&self) -> EngineKind {
        self.engine
    }

    /// Text of an engine about this without the secrets that went into it.
    pub(crate) fn concealed(&self, text: &str) -> String {
        let secrets = self.secrets.iter().filter(|secret| !secret.is_empty());
        secrets.fold(text.to_owned(), |text, secret| {
            text.replace(&secret[..], CONCEALED)
        })
    }

    /// Its options, each with its value.
    pub(crate) fn options(&self) -> &[Vec<String>] {
        &self.options
    }
}

/// Tells the versions of the engine and its client; fails if the engine cannot be used.
pub fn version(engine: EngineKind) -> Invocation {
    Invocation::new(engine, &["version"]).option("--format", "{{json .}}")
}

/// Tells what an image is, as one line of JSON.
pub fn inspect_image(engine: EngineKind, name: &str) -> Invocation {
    Invocation::new(engine, &["image", "inspect"])
        .option("--format", "{{json .}}")
        .then(&[name])
}

/// Tells what a container is, as one line of JSON.
pub fn inspect_container(engine: EngineKind, name: &str) -> Invocation {
    Invocation::new(engine, &["container", "inspect"])
        .option("--format", "{{json .}}")
        .then(&[name])
}

/// Fetches an image from its registry.
pub fn pull(engine: EngineKind, name: &str) -> Invocation {
    Invocation::new(engine, &["pull"]).then(&[name])
}

/// Builds an image from the directory in which the command runs.
pub fn build(engine: EngineKind, name: &str, labels: &Labels) -> Invocation {
    let mut build = Invocation::new(engine, &["build"]);
    // BuildKit leaves nothing of a step that failed, and refuses the node's network unless its daemon was set up to give
    // it; where it was not set up otherwise, it gives it unasked.
    if !build.is_nerdctl() {
        build = build
            // What a step that failed has left is of no use to anybody.
            .flag("--force-rm")
            // The node's own network is the one that surely reaches what the node reaches.
            .option("--network", "host");
    }
    build
        .each("--label", labels.for_image())
        .option("--tag", name)
        .then(&["."])
}

/// Runs an install script of a build directory, which the container sees under `/workspace/docker_image` as
/// case libraries expect. The container stays when the script has ended, for [`commit`].
pub fn install(
    engine: EngineKind,
    name: &str,
    image: &str,
    directory: &str,
    script: &str,
    labels: &Labels,
) -> Invocation {
    const SEEN_AT: &str = "/workspace/docker_image";
    let mut run = Invocation::new(engine, &["run"]);
    // Older ones of nerdctl do not know it.
    if !run.is_nerdctl() {
        // A shell that is a container's first process is deaf to the signal that asks to end; the client is not.
        // The container is removed by who removes it anyway.
        run = run.flag("--sig-proxy=false");
    }
    run.option("--name", name)
        .each("--label", labels.pairs())
        .option("--pull", "never")
        .option("--network", "host")
        .option("--volume", format!("{directory}:{SEEN_AT}"))
        .option("--entrypoint", "bash")
        .then(&[image, &format!("{SEEN_AT}/{script}")])
}

/// Makes an image of a container that has ended. `entrypoint` and `command` are those of the image it was
/// made from, as JSON: a container that ran something else would hand on its own.
pub fn commit(
    engine: EngineKind,
    container: &str,
    image: &str,
    entrypoint: &str,
    command: &str,
    labels: &Labels,
) -> Invocation {
    let commit = Invocation::new(engine, &["commit"])
        .option("--change", format!("ENTRYPOINT {entrypoint}"))
        .option("--change", format!("CMD {command}"));
    if commit.is_nerdctl() {
        // It takes the labels from the image and knows no others, and it looks for a process to halt in a container that
        // has ended.
        return commit.flag("--pause=false").then(&[container, image]);
    }
    let labels = labels.for_image().into_iter().chain(Labels::taken_back());
    commit
        .each("--change", labels.map(|pair| format!("LABEL {pair}")))
        .then(&[container, image])
}

/// Starts a container whose first process is the agent, with the channel on its standard input and output.
/// It ends with the agent, and the engine removes it then. One that is to `stay` does neither: the agent
/// leaves it running for a person to look into.
pub fn run(
    engine: EngineKind,
    name: &str,
    image: &str,
    program: &str,
    options: &ContainerOptions,
    labels: &Labels,
    stay: bool,
) -> Invocation {
    let mut start = Invocation::new(engine, &["run"]);
    if !stay {
        start = start.flag("--rm");
    }
    start = start
        .flag("--interactive")
        .option("--name", name)
        .each("--label", labels.pairs())
        // It was looked for before; an engine that fetches it now would do so in silence.
        .option("--pull", "never");
    // What it says is the channel: an engine that writes it down too fills the node's disk. Older ones of nerdctl
    // know no way to keep theirs from it.
    if !start.is_nerdctl() && unsaid(options, &["--log-driver"]) {
        start = start.option("--log-driver", "none");
    }
    with_options(start, engine, options)
        .option("--volume", format!("{program}:{AGENT_PATH}:ro"))
        .option("--entrypoint", AGENT_PATH)
        .then(&[image, "agent"])
        .then(if stay { &["--stay"] } else { &[] })
}

/// What a person types to look into a container.
pub fn enter(engine: EngineKind, name: &str) -> Invocation {
    Invocation::new(engine, &["exec"])
        .flag("--interactive")
        .flag("--tty")
        .then(&[name, "sh"])
}

/// False if words of the user's own say it: they are the last word.
fn unsaid(options: &ContainerOptions, names: &[&str]) -> bool {
    let says = |word: &String| {
        let name = word.split_once('=').map_or(&word[..], |(name, _)| name);
        names.contains(&name)
    };
    !options.extra.iter().any(says)
}

fn with_options(start: Invocation, engine: EngineKind, options: &ContainerOptions) -> Invocation {
    let network = options.network.as_ref();
    let mut run = start
        .maybe(
            "--network",
            network.filter(|_| unsaid(options, &["--network", "--net"])),
        )
        .maybe(
            "--ipc",
            options.ipc.as_ref().filter(|_| unsaid(options, &["--ipc"])),
        )
        .maybe("--uts", options.uts.as_ref());
    if options.privileged {
        run = run.flag("--privileged");
    }
    if options.init {
        run = run.flag("--init");
    }
    // Podman refuses a size where the memory is the node's; Docker takes it and does nothing with it.
    let is_shared = options.ipc.as_deref() == Some("host") && engine == EngineKind::Podman;
    run = run
        .maybe(
            "--shm-size",
            options.shm_size.as_ref().filter(|_| !is_shared),
        )
        .each("--security-opt", options.security.iter().cloned())
        .each("--ulimit", options.ulimits.iter().cloned())
        .each("--device", options.devices.iter().cloned())
        .each(
            "--volume",
            options.mounts.iter().map(|mount| {
                let rights = if mount.read_only { ":ro" } else { "" };
                format!("{}:{}{rights}", mount.from, mount.to)
            }),
        )
        .each(
            "--env",
            options.env.iter().map(|(name, value)| {
                if is_the_clients(name) {
                    format!("{name}={value}")
                } else {
                    // Its value comes from the client's own environment: everybody on the node can read
                    // the words of a command.
                    name.clone()
                }
            }),
        )
        .maybe("--workdir", options.workdir.as_ref());
    run.options.extend(grouped(&options.extra));
    run.secrets = secrets(options);
    run
}

/// Values that look secret.
fn secrets(options: &ContainerOptions) -> Vec<String> {
    let shown = options.concealed();
    let variables = options
        .env
        .iter()
        .filter(|(name, value)| shown.env.get(*name) != Some(value));
    let words = options
        .extra
        .iter()
        .zip(&shown.extra)
        .filter(|(word, shown)| word != shown);
    variables
        .map(|(_, value)| value.clone())
        // Of words it is what stands where they differ.
        .chain(words.map(|(word, shown)| {
            let same = word
                .bytes()
                .zip(shown.bytes())
                .take_while(|(one, other)| one == other);
            let begin = word.floor_char_boundary(same.count());
            word[begin..].to_owned()
        }))
        .collect()
}

/// The variables that the engine's client is to be started with: it hands them on.
pub fn client_env(options: &ContainerOptions) -> BTreeMap<String, String> {
    let handed_on = options.env.iter().filter(|(name, _)| !is_the_clients(name));
    handed_on
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// True for variables that mean something to the engine's client itself.
fn is_the_clients(name: &str) -> bool {
    ["PATH", "HOME", "TMPDIR"].contains(&name)
        || [
            "DOCKER_",
            "CONTAINER",
            "XDG_",
            "LD_",
            "BUILDAH_",
            "NERDCTL_",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Words as options with their values: each that begins with `-` begins one.
fn grouped(words: &[String]) -> Vec<Vec<String>> {
    let mut groups: Vec<Vec<String>> = Vec::new();
    for word in words {
        match groups.last_mut() {
            Some(group) if !word.starts_with('-') => group.push(word.clone()),
            _ => groups.push(vec![word.clone()]),
        }
    }
    groups
}

/// Removes a container, running or not.
pub fn remove_container(engine: EngineKind, name: &str) -> Invocation {
    Invocation::new(engine, &["rm"])
        .flag("--force")
        .then(&[name])
}

/// Removes an image, or one of its names.
pub fn remove_image(engine: EngineKind, name: &str) -> Invocation {
    Invocation::new(engine, &["rmi"])
        .flag("--force")
        .then(&[name])
}

/// Tells the containers that somebody's runs have made, one identifier a line.
pub fn list(engine: EngineKind, owner: &str) -> Invocation {
    Invocation::new(engine, &["ps"])
        .flag("--all")
        .flag("--quiet")
        .flag("--no-trunc")
        .option("--filter", Labels::filter(owner))
}

/// Removes an image that has no name, unless a container needs it.
pub fn remove_nameless_image(engine: EngineKind, id: &str) -> Invocation {
    Invocation::new(engine, &["rmi"]).then(&[id])
}

/// Tells the images that somebody's runs have made, one identifier a line.
pub fn list_images(engine: EngineKind, owner: &str) -> Invocation {
    Invocation::new(engine, &["images"])
        .flag("--quiet")
        .flag("--no-trunc")
        .option("--filter", Labels::image_filter(owner))
}

/// Tells the containers that builds work in, or have left behind when they were cut off, among others. Only Podman keeps
/// such, and says nothing of whose they are.
pub fn list_working(engine: EngineKind) -> Option<Invocation> {
    (engine == EngineKind::Podman).then(|| {
        Invocation::new(engine, &["ps"])
            .flag("--all")
            .flag("--external")
            .option("--format", "json")
    })
}

/// Writes an image to standard output.
pub fn save(engine: EngineKind, name: &str) -> Invocation {
    Invocation::new(engine, &["save"]).then(&[name])
}

/// Reads an image from standard input.
pub fn load(engine: EngineKind) -> Invocation {
    Invocation::new(engine, &["load"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        Labels {
            run: "r".into(),
            owner: "0@lab".into(),
            agent: Some((1, 2)),
            content: Some("c".into()),
        }
    }

    fn text(invocation: &Invocation) -> String {
        invocation.argv().join(" ")
    }

    #[test]
    fn an_image_is_labelled_with_what_its_containers_may_inherit() {
        let labels = labels();
        assert_eq!(
            text(&build(EngineKind::Docker, "i:1", &labels)),
            "docker build --force-rm --network host --label org.flagperf.content=c --label org.flagperf.maker=0@lab --tag i:1 ."
        );
        let commit = |engine| text(&commit(engine, "n", "i:1", "[]", "[\"sh\"]", &labels));
        let docker = commit(EngineKind::Docker);
        assert!(docker.contains("--change LABEL org.flagperf.owner= "));
        assert_eq!(
            commit(EngineKind::Nerdctl),
            "nerdctl commit --change ENTRYPOINT [] --change CMD [\"sh\"] --pause=false n i:1"
        );
    }

    #[test]
    fn words_of_the_users_own_replace_the_usual_ones() {
        let options = |extra: &[&str]| ContainerOptions {
            network: Some("host".into()),
            ipc: Some("host".into()),
            extra: extra.iter().map(|&word| word.to_owned()).collect(),
            ..ContainerOptions::default()
        };
        let run = |engine, extra: &[&str]| {
            text(&run(
                engine,
                "n",
                "i:1",
                "/p",
                &options(extra),
                &labels(),
                false,
            ))
        };
        let usual = run(EngineKind::Podman, &[]);
        for part in ["--network host", "--ipc host", "--log-driver none"] {
            assert!(usual.contains(part), "{usual}");
        }
        assert!(!run(EngineKind::Nerdctl, &[]).contains("--log-driver"));
        let own = run(
            EngineKind::Docker,
            &["--net=none", "--ipc", "private", "--log-driver=local"],
        );
        for part in ["--network host", "--ipc host", "--log-driver none"] {
            assert!(!own.contains(part), "{own}");
        }
    }
}
