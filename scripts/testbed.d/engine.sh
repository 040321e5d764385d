# shellcheck shell=bash
# Starts the container engine of a node. Sourced by node.sh, before the node's own mounts cover this
# file, and by engines.sh, which hands it to a shell inside the node.
#
# What it needs to know lies in /run/testbed, the node's folder: `engine`, its name.

# client SECONDS ARGUMENT...: the command that really speaks with the engine, whatever the node has of it.
client() {
    local engine limit="$1"
    shift
    engine="$(</run/testbed/engine)"
    if [[ "$engine" == nerdctl ]]; then engine=/run/engine-client/docker; fi
    timeout "$limit" "$engine" "$@"
}

# await_socket PATH PID WHAT LOG: until it is there.
await_socket() {
    local turn
    for ((turn = 0; turn < 3000; turn++)); do
        [[ ! -S "$1" ]] || return 0
        kill -0 "$2" 2>/dev/null || break
        if [[ -n "${quiet:-}" ]]; then
            # A pipe that nobody writes to: no program has to be started for this.
            read -r -t 0.005 -u "$quiet" || true
        else
            sleep 0.01
        fi
    done
    echo "$3 does not serve:" >&2
    tail -n 5 "$4" >&2
    return 1
}

# apart COMMAND...: in a process that holds nothing open of what this one has.
apart() {
    local fd
    for fd in "${ready:-}" "${quiet:-}" "${image:-}"; do
        [[ -z "$fd" ]] || exec {fd}>&-
    done
    exec "$@" </dev/null
}

# start_engine: returns when it answers. What was left of one that was killed is no hindrance.
start_engine() {
    local home=/run/testbed
    [[ "$(<"$home/engine")" == docker || "$(<"$home/engine")" == nerdctl ]] || return 0
    # The number in a left file may be another process's by now.
    rm -f /run/docker.pid /run/docker.sock /run/containerd/containerd.sock
    # A process of its own, because on loopback dockerd is kept from the network that containers are to
    # see: they see that of containerd.
    apart containerd --config "$home/docker/containerd.toml" >>"$home/containerd.log" 2>&1 &
    await_socket /run/containerd/containerd.sock $! containerd "$home/containerd.log"
    # dockerd that shall make no bridge deletes docker0 where it runs, which may be the machine's.
    local own_network=()
    [[ ! -e "$home/docker/own-network" ]] || own_network=(unshare --net)
    apart "${own_network[@]}" dockerd >>"$home/dockerd.log" 2>&1 &
    await_socket /run/docker.sock $! dockerd "$home/dockerd.log"
    # The socket is there a little before somebody answers, and then a connection waits.
    client 60 version >/dev/null
}

# load_image: into the node's engine, an archive from standard input; says its name.
load_image() {
    case "$(</run/testbed/engine)" in
    none) ;;
    *) client 300 load --quiet ;;
    esac
}
