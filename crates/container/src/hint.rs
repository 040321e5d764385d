//! What helps against what engines say.

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
        "rootless containerd not running",
        "set it up for this user (`containerd-rootless-setuptool.sh install`), or log in as root",
    ),
    (
        "no buildkit host is available",
        "nerdctl builds with BuildKit, and none answers there: install `buildctl` and start `buildkitd`, or load the image on the node (`{} load`)",
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
        "is already used by id",
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
        "image not available",
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

/// What helps against an engine's words.
pub(crate) fn hint(engine: &str, words: &str) -> Option<String> {
    let lower = words.to_lowercase();
    if is_loader_missing(&lower) {
        return Some("the image has no C library that the program can use: it needs glibc 2.17 or newer, which images of Alpine and of BusyBox lack".to_owned());
    }
    let (_, hint) = KNOWN.iter().find(|(text, _)| lower.contains(text))?;
    Some(hint.replace("{}", engine))
}

/// The program is there, but not the loader that its first lines name.
fn is_loader_missing(lower: &str) -> bool {
    lower.contains(&format!("{}: no such file", crate::AGENT_PATH))
        || lower.contains(&format!("{}\": no such file", crate::AGENT_PATH))
        || lower.contains(&format!("{}: not found", crate::AGENT_PATH))
        || lower.contains(&format!("{}` not found", crate::AGENT_PATH))
}
