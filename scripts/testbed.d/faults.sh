# shellcheck shell=bash
# What can be done to a running test bed. Sourced by scripts/testbed.
# shellcheck disable=SC2154 # what is not set here is in common.sh and scripts/testbed

# open DIR: sets dir, keeper and kind, or ends.
open() {
    need_root
    need nsenter ip
    dir="$(absolute "$1")"
    local identity
    { read -r identity <"$dir/keeper"; } 2>/dev/null || misuse "$dir is not a test bed"
    alive "$identity" || fail "$dir: this test bed is not running"
    keeper="${identity%% *}"
    find_record "$dir" || fail "$dir: there is no record of this test bed"
    kind="${bed[kind]}"
}

# node NAME: sets node and init, the node's first process as this machine counts.
node() {
    (($#)) || misuse "name a node; $dir/nodes lists them"
    local identity
    node="$1"
    # A name with a slash would be a path.
    if [[ ! "$node" =~ ^node[0-9]+$ || ! -f "$dir/nodes.d/$node/init" ]]; then
        misuse "$dir has no node $node"
    fi
    read -r identity <"$dir/nodes.d/$node/init"
    alive "$identity" || fail "$node is not running"
    init="${identity%% *}"
}

need_link() {
    [[ "$kind" != loopback ]] || misuse "the nodes of this test bed have no links; take --hosts"
}

in_controller() { nsenter --net="/proc/$keeper/ns/net" -- "$@"; }
in_node() {
    local join=()
    # What an engine starts from here shall be where its other containers are.
    # shellcheck disable=SC2016 # for the inner shell
    [[ ! -e "$dir/nodes.d/$node/engine" ]] ||
        join=(bash -c "$(<"$parts/cgroups.sh")"$'\n''join_cgroups; exec "$@"' bash)
    nsenter --target "$init" --mount --uts --ipc --net --pid --cgroup -- env -i -C /root \
        HOME=/root USER=root LOGNAME=root SHELL=/bin/bash LANG=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${join[@]}" "$@"
}

do_controller() {
    (($#)) || misuse "controller needs a command"
    [[ ! -e "$dir/env" ]] || while IFS= read -r line; do export "${line?}"; done <"$dir/env"
    cd "$caller" || exit
    [[ "$kind" == loopback ]] && exec "$@"
    exec nsenter --net="/proc/$keeper/ns/net" -- "$@"
}

do_exec() {
    node "$@"
    shift
    (($#)) || misuse "exec needs a command"
    in_node "$@"
}

# in_space COLUMN: the processes of the node's PID namespace but its first, as "PID PPID COLUMN".
in_space() {
    local space
    space="$(stat -L -c %i "/proc/$init/ns/pid")"
    ps -e -ww -o pidns=,pid=,ppid=,"$1"= |
        awk -v space="$space" -v init="$init" \
            '$1 == space && $2 != init { sub(/^ *[0-9]+ +/, ""); print }'
}

do_ps() {
    node "$@"
    # Not the sshd that listens, not the engine, not what holds the namespaces of a user of Podman, and
    # not the process that tini looks after.
    local usual='sleep 2147483647$|dockerd$|containerd --config |catatonit -P$'
    in_space args | awk -v init="$init" -v usual="^[0-9]+ +[0-9]+ +($usual)" \
        '!($2 == init && (/ \[listener\] / || $0 ~ usual))'
}

do_kill_sshd() {
    node "$@"
    local turn pids
    # Again, because the listener may have begun a session while the list was made.
    for ((turn = 0; turn < 50; turn++)); do
        mapfile -t pids < <(in_space comm | awk '$3 == "sshd" && $4 != "<defunct>" { print $1 }')
        ((${#pids[@]})) || return 0
        kill -KILL "${pids[@]}" 2>/dev/null || true
    done
    fail "$node: sshd does not end"
}

do_start_sshd() {
    node "$@"
    local address port
    # What it listened on before.
    IFS=' :' read -r _ address port < <(grep '^ListenAddress ' "$dir/nodes.d/$node/sshd_config")
    # Handed over as text, because the node may not see the file.
    # shellcheck disable=SC2016 # for the inner shell
    in_node env "client_key=$(<"$dir/client_key.pub")" \
        bash -c "$(<"$parts/sshd.sh")"$'\n''start_sshd "$@"' bash "$node" "$address" "$port"
}

do_cut() {
    node "$@"
    need_link
    in_controller ip link set "$node" down
}

do_heal() {
    node "$@"
    need_link
    in_controller ip link set "$node" up
}

do_throttle() {
    node "$@"
    need_link
    need tc
    local rate="${2:-}"
    [[ "$rate" == off || "$rate" =~ ^[0-9.]+[kmg]?bit$ ]] || misuse "throttle: a rate as 10mbit, or off"
    if [[ "$rate" == off ]]; then
        in_controller tc qdisc delete dev "$node" root 2>/dev/null || true
        nsenter --net="/proc/$init/ns/net" -- tc qdisc delete dev eth0 root 2>/dev/null || true
        return
    fi
    # A bucket of 64 KiB holds the largest packet that a stack hands to a link.
    local shape=(root tbf rate "$rate" burst 64kb latency 200ms)
    in_controller tc qdisc replace dev "$node" "${shape[@]}"
    nsenter --net="/proc/$init/ns/net" -- tc qdisc replace dev eth0 "${shape[@]}"
}

do_loss() {
    node "$@"
    need_link
    need nft
    local percent="${2:-}"
    if [[ ! "$percent" =~ ^(0|[1-9][0-9]{0,2})$ ]] || ((percent > 100)); then
        misuse "loss: 0 to 100 percent, not $percent"
    fi
    # Dropped on the controller's end of the link, where neither side is told of it. Addresses are
    # still resolved: a lossy path is lossy somewhere beyond the first switch.
    local hook
    {
        printf 'table netdev %s {}\ndelete table netdev %s\n' "$node" "$node"
        ((percent == 0)) || for hook in ingress egress; do
            printf 'add table netdev %s\n' "$node"
            printf 'add chain netdev %s %s { type filter hook %s device "%s" priority 0; }\n' \
                "$node" "$hook" "$hook" "$node"
            printf 'add rule netdev %s %s meta protocol ip numgen random mod 100 < %s drop\n' \
                "$node" "$hook" "$percent"
        done
    } | in_controller nft -f -
}

do_delay() {
    node "$@"
    local milliseconds="${2:-}" relay="$dir/nodes.d/$node/relay" config="$dir/ssh_config.d/$node"
    if [[ "$milliseconds" == off ]]; then
        rm -f "$config"
        [[ -e "$relay" ]] || return 0
        # It goes on for the connections that it carries.
        milliseconds=0
    fi
    [[ "$milliseconds" =~ ^(0|[1-9][0-9]{0,4})$ ]] || misuse "delay: milliseconds or off, not $milliseconds"
    printf '%s\n' "$milliseconds" >"$relay.delay"
    if [[ -e "$relay" ]]; then
        local pid start
        read -r pid start _ <"$relay"
        alive "$pid $start" || fail "the relay before $node has ended; see $relay.log"
        kill -USR1 "$pid"
    else
        start_relay
    fi
    if ((milliseconds)); then
        # The key is still the node's, so it is looked for under the node's name.
        local address port
        read -r _ _ address port <"$relay"
        printf 'Host %s\n    HostName %s\n    Port %s\n    HostKeyAlias %s\n' \
            "$node" "$address" "$port" "$node" >"$relay.config"
        mv "$relay.config" "$config"
    fi
}

start_relay() {
    local from=127.0.0.1 address port line
    [[ "$kind" == loopback ]] || from=10.77.0.1
    IFS=' :' read -r _ address port < <(grep '^ListenAddress ' "$dir/nodes.d/$node/sshd_config")
    # In the keeper's PID namespace, to end with it; the shell in between makes it an orphan there.
    # shellcheck disable=SC2016 # for the inner shell
    read -r line < <(nsenter --target "$keeper" --net --pid -- bash -c '"$@" &' bash \
        setsid /usr/bin/python3 -IS "$parts/relay.py" "$from" "$address" "$port" "$relay.delay" \
        2>"$relay.log" </dev/null) || true
    [[ -n "${line:-}" ]] || fail "the relay before $node did not start: $(tail -n 1 "$relay.log")"
    printf '%s\n' "$line" >"$relay"
}

# cover PATH OPTIONS: an empty file system over PATH, which belongs to whom PATH belonged to.
cover() {
    local path="$1" options="$2"
    [[ "$path" == /* ]] || misuse "name a path from / on, not \`$path\`"
    # shellcheck disable=SC2016 # for the inner shell
    in_node bash -c 'set -e
        mkdir -p -- "$1"
        owner="$(stat -c mode=%a,uid=%u,gid=%g -- "$1")"
        mount -t tmpfs -o "$owner,$2" testbed-cover "$1"' bash "$path" "$options"
}

do_fill() {
    node "$@"
    # tmpfs takes a size of nothing for no limit.
    [[ "${3:-}" =~ ^[1-9][0-9]*[kmgKMG]?$ ]] || misuse "fill needs a path and a size, as 64k or 1m"
    cover "$2" "size=$3"
}

do_readonly() {
    node "$@"
    cover "${2:-}" ro
}

do_noexec() {
    node "$@"
    cover "${2:-}" noexec
}

do_restore() {
    node "$@"
    local path="${2:-}" source
    source="$(in_node findmnt --noheadings --output SOURCE --mountpoint "$path" | tail -n 1)"
    [[ "$source" == testbed-cover ]] || misuse "nothing was put over $path on $node"
    # Who works in there keeps it until leaving.
    in_node umount --lazy "$path"
}
