"""Runs runc with its arguments, once what they ask for has been cut down to what this process has.

Without CAP_SYS_RESOURCE nobody can grant that capability, raise a hard limit, or make a process
less likely to be killed for its memory than oneself is. Engines ask for all three by default or for
`--privileged` and `--ulimit`, and runc then refuses to start the container.

For --net=host dockerd names a file that is its own network. On loopback that is not the node's, which
a container has if none is named: then it has that of containerd.
"""

import json
import os
import resource
import sys

ARGUMENTS = sys.argv[1:]
SYS_RESOURCE = 24


def option(*names):
    """The value of an option, written as `--name value` or `--name=value`."""
    for at, word in enumerate(ARGUMENTS):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else ARGUMENTS[at + 1]
    return None


def limited(asked):
    """A limit on resources, no higher than this process's own."""
    number = getattr(resource, asked["type"], None)
    if number is None:
        return asked
    own = resource.getrlimit(number)[1]
    if own == resource.RLIM_INFINITY:
        return asked
    return {**asked, "hard": min(asked["hard"], own), "soft": min(asked["soft"], own)}


def may_all():
    with open("/proc/self/status") as file:
        held = next(line for line in file if line.startswith("CapBnd:"))
    # Users of Podman hold every capability, but only over what is their own.
    with open("/proc/self/uid_map") as file:
        own = file.read().split() != ["0", "0", "4294967295"]
    return not own and int(held.split()[1], 16) >> SYS_RESOURCE & 1 == 1


def clamp(process):
    for kind, names in (process.get("capabilities") or {}).items():
        process["capabilities"][kind] = [name for name in names or [] if name != "CAP_SYS_RESOURCE"]
    process["rlimits"] = [limited(asked) for asked in process.get("rlimits") or []]
    if "oomScoreAdj" in process:
        with open("/proc/self/oom_score_adj") as file:
            process["oomScoreAdj"] = max(process["oomScoreAdj"], int(file.read()))


def with_node_network(namespaces):
    return [
        namespace
        for namespace in namespaces
        if not (namespace["type"] == "network" and namespace.get("path", "").endswith("/docker/netns/default"))
    ]


def main():
    if "exec" in ARGUMENTS:
        path = option("--process", "-p")
    else:
        path = os.path.join(option("--bundle", "-b") or ".", "config.json")
    if path and os.path.exists(path):
        with open(path) as file:
            asked = json.load(file)
        if not may_all():
            clamp(asked.get("process", asked))
        if "linux" in asked:
            asked["linux"]["namespaces"] = with_node_network(asked["linux"].get("namespaces") or [])
        with open(path, "w") as file:
            json.dump(asked, file)
    os.execvp("runc", ["runc", *ARGUMENTS])


main()
