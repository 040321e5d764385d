"""Stands in for nerdctl, which Debian 12 does not have: takes what nerdctl takes, refuses what it
refuses, and has the docker of the node do it.

The options are those that both nerdctl 1.7 and 2.x know, so that what passes here passes with either.
Where the two engines differ in what they do, this does as nerdctl: it builds with BuildKit whose daemon
gives no build the node's network by name, it commits the configuration of the image and not that of
the container, it fails to halt what has ended, and it tells of containers and images what nerdctl tells.
"""

import io
import json
import os
import subprocess
import sys
import tarfile

DOCKER = "/run/engine-client/docker"

# What takes no value, what takes one, and short names.
RUN = (
    "detach help init interactive oom-kill-disable privileged read-only rm rootfs tty",
    "add-host blkio-weight cap-add cap-drop cgroup-conf cgroup-parent cgroupns cidfile cpu-period cpu-quota"
    " cpu-shares cpus cpuset-cpus cpuset-mems detach-keys device dns dns-opt dns-option dns-search entrypoint"
    " env env-file gpus group-add hostname init-binary ip ip6 ipc isolation kernel-memory label label-file"
    " log-driver log-opt mac-address memory memory-reservation memory-swap memory-swappiness mount name net"
    " network oom-score-adj pid pidfile pids-limit platform publish pull rdt-class restart runtime"
    " security-opt shm-size stop-signal stop-timeout sysctl tmpfs ulimit umask user uts verify volume"
    " volumes-from workdir",
    "d:detach i:interactive t:tty e:env l:label v:volume h:hostname m:memory u:user w:workdir p:publish",
)
COMMANDS = {
    "build": (
        "no-cache quiet rm",
        "build-arg cache-from cache-to file iidfile label network output platform progress secret ssh tag target",
        "q:quiet t:tag f:file o:output",
    ),
    "commit": ("pause", "change author message", "p:pause c:change a:author m:message"),
    "container inspect": ("", "mode format", "f:format"),
    "exec": (
        "privileged detach interactive tty", "env user workdir env-file",
        "d:detach i:interactive t:tty e:env u:user w:workdir",
    ),
    "image inspect": ("", "mode platform format", "f:format"),
    "images": ("digests names no-trunc all quiet", "format filter", "a:all q:quiet f:filter"),
    "load": ("all-platforms", "input platform", "i:input"),
    "ps": ("no-trunc all latest quiet size", "last format filter", "a:all l:latest q:quiet s:size n:last f:filter"),
    "pull": ("all-platforms quiet", "unpack verify platform ipfs-address", "q:quiet"),
    "rm": ("force volumes", "", "f:force v:volumes"),
    "rmi": ("async force", "", "f:force"),
    "run": RUN,
    "save": ("all-platforms", "output platform", "o:output"),
    "stop": ("", "time", "t:time"),
    "version": ("", "format", "f:format"),
}
# What comes after the first word that is no option is not this program's.
TO_THE_FIRST = ("run", "exec")


def fatal(message, code=1):
    sys.stdout.flush()
    print(f'time="2026-01-02T03:04:05Z" level=fatal msg={json.dumps(message)}', file=sys.stderr)
    sys.exit(code)


def parse(command, words):
    """Options as pairs of name and value, and the other words."""
    flags, valued, short = (set(names.split()) for names in COMMANDS[command])
    short = dict(pair.split(":") for pair in short)
    options, rest = [], []
    words = list(words)
    while words:
        word = words.pop(0)
        if word == "--":
            return options, rest + words
        if word == "-" or not word.startswith("-"):
            rest.append(word)
            if command in TO_THE_FIRST:
                return options, rest + words
            continue
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            if name not in flags | valued:
                fatal(f"unknown flag: --{name}")
        else:
            name, equals, value = short.get(word[1]), word[2:3], word[2:].removeprefix("=")
            if name is None:
                fatal(f"unknown shorthand flag: '{word[1]}' in {word}")
            if name in flags and equals != "=" and value:
                words.insert(0, f"-{value}")
                equals = ""
        if name in flags:
            options.append((name, value if equals else "true"))
        elif equals:
            options.append((name, value))
        elif words:
            options.append((name, words.pop(0)))
        else:
            fatal(f"flag needs an argument: --{name}")
    return options, rest


def docker(*words, **more):
    return subprocess.run([DOCKER, *words], capture_output=True, text=True, check=False, **more)


def inspected(kind, name):
    done = docker(kind, "inspect", name)
    if done.returncode == 0:
        return json.loads(done.stdout)[0]
    if "no such" in done.stderr.lower():
        return None
    fatal('cannot access containerd socket "/run/containerd/containerd.sock": no such file or directory')


def hand_on(command, options, rest):
    """Becomes docker's client, with these options."""
    sys.stdout.flush()
    # A flag's value is part of its word.
    words = [f"--{name}={value}" for name, value in options]
    os.execv(DOCKER, [DOCKER, *command.split(), *words, *rest])


def without_empty(fields):
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def picked(fields, names):
    return {name: fields[name] for name in names.split() if name in fields}


def as_image(image):
    config = image["Config"] or {}
    found = picked(image, "Id RepoTags RepoDigests Parent Comment Created Author Architecture Os Size RootFS")
    kept = picked(config, "User ExposedPorts Env Cmd Volumes WorkingDir Entrypoint Labels")
    return {**found, "Config": {"AttachStdin": False, **without_empty(kept)}}


def as_container(container):
    config, host = container["Config"], container["HostConfig"]
    found = picked(container, "Id Created Path Args RestartCount Driver Platform Mounts")
    state = picked(container["State"], "Status Running Paused Restarting Pid ExitCode Error StartedAt FinishedAt")
    of_host = picked(host, "NetworkMode AutoRemove IpcMode PidMode Privileged ShmSize Memory CpusetCpus Devices")
    kept = picked(config, "Hostname User Env Cmd WorkingDir Entrypoint Labels")
    return {
        **found, "State": state, "Image": config["Image"], "Name": container["Name"].removeprefix("/"),
        "HostConfig": of_host, "Config": {"AttachStdin": False, **without_empty(kept)},
    }


def inspect(kind, options, names):
    options = dict(options)
    if options.get("format") != "{{json .}}" or options.get("mode", "dockercompat") != "dockercompat":
        fatal("this stand-in tells only `{{json .}}`")
    found = [inspected(kind, name) for name in names]
    missing = [f"no such {kind}: {name}" for name, one in zip(names, found) if one is None]
    if missing:
        fatal(f"{len(missing)} errors:\n" + "\n".join(missing))
    for one in found:
        print(json.dumps(as_image(one) if kind == "image" else as_container(one)))


def run(options, rest):
    given = dict(options)
    if given.get("log-driver", "json-file") not in ("json-file", "journald", "fluentd", "syslog"):
        fatal(f"unknown log driver {given['log-driver']!r}")
    if inspected("image", rest[0]) is None and given.get("pull") == "never":
        fatal(f'image not available: "{rest[0]}"')
    other = inspected("container", given["name"]) if "name" in given else None
    if other:
        fatal(f'name "{given["name"]}" is already used by ID "{other["Id"]}"')
    hand_on("run", options, rest)


def build(options, rest):
    if len(rest) != 1:
        fatal("context needs to be specified")
    if ("network", "host") in options:
        fatal("granting entitlement network.host is not allowed by build daemon configuration")
    options = [pair for pair in options if pair[0] not in ("network", "progress", "rm")]
    words = [f"--{name}={value}" for name, value in options]
    # A daemon that was not told otherwise gives builds its own network.
    command = [DOCKER, "build", "--network=host", "--force-rm", *words, *rest]
    building = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    step, what, wrong = 0, "", "the build ended"
    for line in building.stdout:
        line = line.rstrip("\n")
        if line.startswith("Step ") and " : " in line:
            count, what = line.removeprefix("Step ").split(" : ", 1)
            step += 1
            print(f"#{step + 3} [{count}] {what}", flush=True)
        elif line.startswith((" ---> ", "Removing intermediate", "Sending build context", "DEPRECATED")):
            continue
        elif line:
            wrong = line
            print(f"#{step + 3} 0.100 {line}", flush=True)
    if building.wait() == 0:
        return
    print(f"#{step + 3} ERROR: {wrong}", flush=True)
    print(f"------\n > {what}:\n------\nerror: failed to solve: {wrong}", file=sys.stderr)
    fatal("exit status 1")


def commit(options, rest):
    name, image = rest
    container = inspected("container", name)
    if container is None:
        fatal(f"no such container {name}")
    if dict(options).get("pause", "true") == "true" and not container["State"]["Running"]:
        fatal(f"no running task found: task {container['Id']} not found: not found")
    config = inspected("image", container["Image"])["Config"]
    for change in (value for option, value in options if option == "change"):
        directive, _, words = change.partition(" ")
        if directive not in ("CMD", "ENTRYPOINT"):
            fatal(f'unknown change directive "{directive}"')
        try:
            config["Cmd" if directive == "CMD" else "Entrypoint"] = json.loads(words)
        except ValueError:
            fatal(f"malformed json in change flag value {change!r}")
    made = docker("commit", name, image)
    if made.returncode:
        fatal(made.stderr.strip())
    configure(image, config)
    print(made.stdout.strip())


def configure(image, config):
    """Gives an image another configuration, which docker's own `commit` cannot."""
    saved = subprocess.run([DOCKER, "save", image], capture_output=True, check=True).stdout
    changed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(saved)) as old, tarfile.open(fileobj=changed, mode="w") as new:
        manifest = json.load(old.extractfile("manifest.json"))
        for member in old.getmembers():
            content = old.extractfile(member).read() if member.isfile() else None
            if member.name == manifest[0]["Config"]:
                whole = json.loads(content)
                whole["config"] = config
                whole.pop("container_config", None)
                content = json.dumps(whole).encode()
                member.size = len(content)
            new.addfile(member, io.BytesIO(content) if content is not None else None)
    first = docker("image", "inspect", "--format", "{{.Id}}", image).stdout.strip()
    subprocess.run([DOCKER, "load", "--quiet"], input=changed.getvalue(), capture_output=True, check=True)
    # Its name has gone to the other.
    docker("rmi", first)


def remove(kind, options, names):
    """`rm` and `rmi`."""
    force = dict(options).get("force") == "true"
    wrong = []
    for name in names:
        words = ["rm" if kind == "container" else "rmi"] + (["--force"] if force else [])
        done = docker(*words, name)
        if is_missing(done):
            wrong.append(f"no such {kind}: {name}")
        elif done.returncode:
            wrong.append(done.stderr.strip())
        else:
            print(name if kind == "container" else done.stdout.strip())
    if wrong:
        message = f"{len(wrong)} errors:\n" + "\n".join(wrong)
        if force and all(line.startswith("no such") for line in wrong):
            print(f'time="2026-01-02T03:04:05Z" level=error msg={json.dumps(message)}', file=sys.stderr)
        else:
            fatal(message)


def is_missing(done):
    return "no such" in done.stderr.lower()


def main(words):
    if not words or words[0].startswith("-"):
        fatal(f"unknown flag: {words[0] if words else ''}")
    take = 2 if words[0] in ("container", "image") else 1
    command, words = " ".join(words[:take]), words[take:]
    if command not in COMMANDS:
        fatal(f'unknown subcommand "{command}" for "nerdctl"')
    options, rest = parse(command, words)
    if command == "version" and docker("version").returncode:
        fatal('cannot access containerd socket "/run/containerd/containerd.sock": no such file or directory')
    if command in ("container inspect", "image inspect"):
        inspect(command.split()[0], options, rest)
    elif command == "run":
        run(options, rest)
    elif command == "build":
        build(options, rest)
    elif command == "commit":
        commit(options, rest)
    elif command in ("rm", "rmi"):
        remove("container" if command == "rm" else "image", options, rest)
    else:
        hand_on(command, options, rest)


main(sys.argv[1:])
