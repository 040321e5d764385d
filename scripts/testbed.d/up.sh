# shellcheck shell=bash
# Starts a test bed. Sourced by scripts/testbed.
# shellcheck disable=SC2154 # what is not set here is in common.sh and scripts/testbed

# shellcheck source=engine-setup.sh
source "$parts/engine-setup.sh"
# shellcheck source=image.sh
source "$parts/image.sh"

# Every test bed but one on loopback has a network of its own, so all may use the same addresses.
export controller_address=10.77.0.1

need_rights() {
    need_root
    need ip mount nsenter setsid ssh-keygen sshd tini unshare
    [[ "$1" != slurm ]] || need mungekey munged sinfo slurmctld slurmd srun
    unshare --mount --uts --ipc --pid --net --fork true 2>/dev/null ||
        lack "this machine lets nobody make namespaces"
}

# free_port: one that nothing listens on, and that no test bed has; in `port`. Needs the lock.
free_port() {
    local taken turn
    taken=" $(sed -n 's/^port=//p' "$records"/*.bed /dev/null | tr '\n' ' ')"
    for ((turn = 0; turn < 100; turn++)); do
        # Below the range from which the kernel takes ports for connections.
        port=$((20000 + RANDOM % 12000))
        [[ "$taken" != *" $port "* ]] || continue
        # State 0A is a listening socket.
        grep -qsE "^ *[0-9]+: [0-9A-F]+:$(printf '%04X' "$port") [0-9A-F:]+ 0A" \
            /proc/net/tcp /proc/net/tcp6 || return 0
    done
    fail "found no free port"
}

faketime_library() {
    local file
    for file in /usr/lib/*/faketime/libfaketime.so.1 /usr/lib/faketime/libfaketime.so.1; do
        [[ -e "$file" ]] && printf '%s\n' "$file" && return
    done
    lack "libfaketime is missing; scripts/setup installs it"
}

# What stands in /etc of the nodes in place of the machine's own; keeper.sh adds hosts. The machine's
# shadow file is not copied: its hashes are nobody's business here. "*" is a password that nothing
# matches; "!" would be a locked account.
write_etc() {
    mkdir "$dir/etc"
    {
        printf 'root:x:0:0:root:/root:/bin/bash\n'
        grep -vE '^(root|alice|bob):' /etc/passwd || true
        printf '%s:x:%s:%s::/home/%s:/bin/bash\n' alice 20001 20001 alice bob 20002 20002 bob
    } >"$dir/etc/passwd"
    {
        grep -vE '^(alice|bob|docker):' /etc/group || true
        printf 'alice:x:20001:\nbob:x:20002:\n'
        # Bob may use Docker, alice not. dockerd gives its socket to this group.
        printf 'docker:x:%s:bob\n' "$(sed -n 's/^docker:[^:]*:\([0-9]*\):.*/\1/p' /etc/group | grep . || echo 20003)"
    } >"$dir/etc/group"
    printf '%s:*:19000:0:99999:7:::\n' root sshd alice bob >"$dir/etc/shadow"
    chmod 600 "$dir/etc/shadow"
    # For containers without root's help; they stand here only if the machine has these files.
    printf '%s\n' alice:200000:65536 bob:300000:65536 | tee "$dir/etc/subuid" >"$dir/etc/subgid"
    # No name is looked for in the world, which cannot be reached from there: that takes 20 s to fail.
    printf '%s: files\n' passwd group shadow hosts services protocols >"$dir/etc/nsswitch.conf"
}

up() {
    local kind="" count="" tied=false owner="" banners=() options=() argument port=""
    local engines=() disks=() cgroups="" archive=""
    dir=""
    while (($#)); do
        argument="$1"
        shift
        case "$argument" in
        --hosts | --loopback | --slurm | --owner | --banner | --clock | --sshd-option | \
            --engine | --engine-disk)
            (($#)) || misuse "$argument needs a value"
            ;;&
        --hosts | --loopback | --slurm)
            [[ -z "$kind" ]] || misuse "$argument: the test bed is of kind $kind already"
            kind="${argument#--}" count="$1"
            shift
            ;;
        --tied) tied=true ;;
        --owner) owner="$1" && shift ;;
        --banner) banners+=("$1") && shift ;;
        --clock)
            [[ "$1" =~ ^[^:]+:[+-][0-9.]+[mhdy]?$ ]] ||
                misuse "--clock wants NODE:OFFSET, as node2:+1h, not $1"
            local library
            library="$(faketime_library)" || exit
            # Other clocks than the wall's go on as they are, as on a real node whose clock is wrong.
            options+=("${1%%:*}:SetEnv LD_PRELOAD=$library FAKETIME=${1#*:}$(
            ) DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_FAKE_MONOTONIC=1")
            shift
            ;;
        --sshd-option)
            [[ "$1" == *:* ]] || misuse "--sshd-option wants NODE:TEXT, not $1"
            options+=("$1") && shift
            ;;
        --engine) engines+=("$1") && shift ;;
        --engine-disk)
            [[ "$1" =~ ^[^:]+:[1-9][0-9]*[kmgKMG]?$ ]] ||
                misuse "--engine-disk wants NODE:SIZE, as node2:64m, not $1"
            disks+=("$1") && shift
            ;;
        -*) misuse "up knows no $argument" ;;
        *)
            [[ -z "$dir" ]] || misuse "up takes one directory, not $dir and $argument"
            dir="$argument"
            ;;
        esac
    done
    [[ -n "$dir" ]] || misuse "up needs a directory"
    [[ -n "$kind" ]] || misuse "up needs --hosts, --loopback or --slurm"
    if [[ ! "$count" =~ ^[1-9][0-9]{0,3}$ ]] || ((count > 1000)); then
        misuse "--$kind $count: from 1 to 1000 nodes"
    fi
    local names=() number name option
    for ((number = 1; number <= count; number++)); do names+=("node$number"); done
    local -A engine=()
    for option in "${engines[@]}"; do
        need_engine "${option##*:}"
        if [[ "$option" == *:* ]]; then
            engine["${option%%:*}"]="${option#*:}"
        else
            for name in "${names[@]}"; do engine[$name]="$option"; done
        fi
    done
    for option in "${banners[@]}" "${options[@]}" "${disks[@]}" "${!engine[@]}"; do
        name="${option%%:*}"
        [[ "$option" == "*:"* || " ${names[*]} " == *" $name "* ]] ||
            misuse "$option: there is no node $name"
    done
    need_rights "$kind"

    umask 022
    dir="$(absolute "$dir")"
    # It stands in files that are split at blanks.
    [[ "$dir" =~ ^[A-Za-z0-9/._+,@=-]+$ ]] || misuse "$dir: only letters, digits and /._+,@=- please"
    mkdir -p "$dir"
    [[ -z "$(ls -A "$dir")" ]] || misuse "$dir is not empty"
    : >"$dir/.testbed"

    mkdir "$dir/nodes.d" "$dir/ssh_config.d" "${names[@]/#/"$dir/nodes.d/"}"
    printf '%s\n' "${names[@]}" >"$dir/nodes"
    for name in "${banners[@]}"; do : >"$dir/nodes.d/$name/banner"; done
    for option in "${options[@]}"; do
        for name in "${names[@]}"; do
            [[ "${option%%:*}" != "$name" && "$option" != "*:"* ]] ||
                printf '%s\n' "${option#*:}" >>"$dir/nodes.d/$name/sshd_options"
        done
    done
    write_etc
    for option in "${disks[@]}"; do
        printf '%s\n' "${option#*:}" >"$dir/nodes.d/${option%%:*}/engine-disk"
    done
    if ((${#engine[@]})); then
        write_engines
        for name in "${names[@]}"; do
            printf '%s\n' "${engine[$name]:-none}" >"$dir/nodes.d/$name/engine"
        done
        image busybox
    fi
    ssh-keygen -q -t ed25519 -N '' -C testbed -f "$dir/client_key"
    export client_key
    client_key="$(<"$dir/client_key.pub")"

    if [[ -n "$owner" ]]; then
        owner="$(identity "$owner")" || misuse "--owner $owner: there is no such process"
    fi
    mkdir -p "$records"
    sweep_
    record="$records/$$-$RANDOM.bed"
    exec {lock}>"$records/lock"
    flock "$lock"
    [[ "$kind" != loopback ]] || free_port
    # Written down first, so that `down` finds them if this ends in between.
    ((${#engine[@]} == 0)) || plan_cgroups "flagperf-testbed-$(basename "$record" .bed)"
    printf '%s\n' "cgroups=$cgroups" "dir=$dir" "kind=$kind" "builder=$(identity $$)" "port=$port" "owner=$owner" >"$record"
    exec {lock}>&-

    trap 'down_ "$dir"' EXIT
    trap 'exit 1' INT TERM HUP
    [[ -z "$cgroups" ]] || make_cgroups "${names[@]}"
    local tie
    if $tied; then exec {tie}<&0; else exec {tie}</dev/null; fi
    export dir kind port record tied parts cgroups archive
    local answer="" pipe
    local own_network=()
    [[ "$kind" == loopback ]] || own_network=(--net)
    exec {pipe}< <(exec setsid unshare --mount --uts --ipc --pid "${own_network[@]}" \
        --fork --kill-child bash "$parts/keeper.sh" <&"$tie" {tie}<&- 2>"$dir/keeper.log")
    read -r -u "$pipe" answer || true
    if [[ "$answer" != up ]]; then
        trap - EXIT
        down_ "$dir"
        tail -n 5 "$dir/keeper.log" "$dir"/nodes.d/*/{log,sshd.log,dockerd.log} 2>/dev/null | grep -v '^$' |
            tail -n 40 >&2 || true
        fail "$dir: could not be started; what is known stands above and in $dir"
    fi
    trap - EXIT INT TERM HUP
    # From here on its owner answers for it, or nobody.
    sed -i /^builder=/d "$record"
    say "testbed: $kind, $count nodes, $dir"
}
