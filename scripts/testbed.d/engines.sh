# shellcheck shell=bash
# What can be done to the container engines of a running test bed, and what can be read of them.
# Sourced by scripts/testbed.
# shellcheck disable=SC2154 # what is not set here is in faults.sh, common.sh and scripts/testbed

# engine NODE: sets node, init and engine.
engine() {
    node "$@"
    engine=none
    [[ ! -e "$dir/nodes.d/$node/engine" ]] || engine="$(<"$dir/nodes.d/$node/engine")"
    [[ "$engine" != none ]] || misuse "$node has no container engine; take up --engine"
}

# daemons NODE: sets pids, of those that have not ended, dockerd first.
daemons() {
    engine "$@"
    [[ "$engine" != podman ]] || misuse "$engine on $node is no daemon: nothing runs but containers"
    find_daemons
}
find_daemons() {
    mapfile -t pids < <(in_space comm |
        awk '($3 == "dockerd" || $3 == "containerd") && $4 != "<defunct>" { print $3, $1 }' |
        sort -r | cut -d ' ' -f 2)
}

# end_daemons SIGNAL PID...: and waits for it, longer than dockerd waits for its containers.
end_daemons() {
    local signal="$1" pid turn
    shift
    for pid in "$@"; do kill "-$signal" "$pid" 2>/dev/null || true; done
    for ((turn = 0; turn < 3000; turn++)); do
        for pid in "$@"; do
            if identity "$pid" >/dev/null; then
                sleep 0.01
                continue 2
            fi
        done
        return 0
    done
    fail "$node: the engine does not end on SIG$signal"
}

do_stop_engine() {
    local pids=() signal="${2:-TERM}"
    [[ "$signal" == TERM || "$signal" == KILL ]] || misuse "stop-engine takes TERM or KILL, not $signal"
    daemons "$@"
    ((${#pids[@]})) || return 0
    if [[ "$signal" == KILL ]]; then
        end_daemons KILL "${pids[@]}"
    else
        # One after the other, as an init would: dockerd ends its containers by means of the other.
        local pid
        for pid in "${pids[@]}"; do end_daemons TERM "$pid"; done
    fi
}

do_start_engine() {
    local pids
    daemons "$@"
    ((${#pids[@]} == 0)) || misuse "the engine of $node runs already"
    # Handed over as text, because the node may not see the file.
    in_node setsid bash -c "set -euo pipefail
        $(<"$parts/engine.sh")
        start_engine"
}

do_freeze_engine() {
    local pids
    daemons "$@"
    ((${#pids[@]})) || fail "the engine of $node does not run"
    kill -STOP "${pids[@]}"
}

do_thaw_engine() {
    local pids
    daemons "$@"
    ((${#pids[@]})) || fail "the engine of $node does not run"
    kill -CONT "${pids[@]}"
}

# in_engine USER ARGUMENT...: the engine's own command. A frozen one must not hold up a test.
in_engine() {
    local user="${1:-root}" home=/root number as=() client="$engine"
    shift
    [[ "$engine" != nerdctl ]] || client=/run/engine-client/docker
    if [[ "$user" != root ]]; then
        [[ "$user" == alice || "$user" == bob ]] || misuse "no user of the engine: $user"
        home="/home/$user"
        number="$(in_node id -u "$user")"
        as=(setpriv "--reuid=$number" "--regid=$number" --init-groups)
    fi
    in_node env -C "$home" "HOME=$home" "USER=$user" "LOGNAME=$user" "${as[@]}" \
        timeout 120 "$client" "$@"
}

do_image() {
    engine "$@"
    # shellcheck source=image.sh
    source "$parts/image.sh"
    local archive
    image "${2:-busybox}"
    in_engine "${3:-}" load --quiet <"$archive"
}

# each USER LISTING FORMAT: a line in FORMAT for each thing that the words of LISTING list. What goes
# away in between is left out.
each() {
    local user="$1" listing="$2" format="$3" ids log="$dir/nodes.d/$node/engine.log"
    # shellcheck disable=SC2086 # words
    ids="$(in_engine "$user" $listing)"
    [[ -n "$ids" ]] || return 0
    mapfile -t ids < <(sort -u <<<"$ids")
    # The engine tells of the others then, and complains.
    in_engine "$user" "${listing%% *}" inspect --format "$format" "${ids[@]}" 2>"$log" | sed '/^$/d' ||
        grep -qi 'no such' "$log" || fail "$node: $(tail -n 1 "$log")"
}

do_engine_ps() {
    engine "$@"
    each "${2:-}" 'container ls --all --quiet --no-trunc' '{"id":{{json .ID}},"name":{{json .Name}},'$(
    )'"image":{{json .Config.Image}},"state":{{json .State.Status}},"labels":{{json .Config.Labels}}}' |
        # Docker puts a slash before a name; no labels are null.
        sed 's,"name":"/,"name":",; s/"labels":null}$/"labels":{}}/'
}

do_engine_images() {
    engine "$@"
    each "${2:-}" 'image ls --quiet --no-trunc' '{"id":{{json .ID}},"tags":{{json .RepoTags}},'$(
    )'"bytes":{{json .Size}},"labels":{{json .Config.Labels}}}' |
        sed 's/"id":"sha256:/"id":"/; s/"tags":null,/"tags":[],/; s/"labels":null}$/"labels":{}}/'
}
