# shellcheck shell=bash
# The control groups of a test bed with container engines: one for each node, which its engine takes
# for the root of them all. So what an engine makes there is known, and goes when the test bed goes:
# groups, unlike mounts, do not end with the processes in them. Sourced by scripts/testbed.
# shellcheck disable=SC2154 # set by those who source this

# hierarchies: for each one of version 1 "OPTIONS PATH", as mount takes it and as the kernel says
# where this process is; without any, nothing.
hierarchies() {
    local controllers path
    while IFS=: read -r _ controllers path; do
        [[ -z "$controllers" || ! -d "/sys/fs/cgroup/${controllers#name=}" ]] ||
            printf '%s %s\n' "${controllers/#name=/none,name=}" "$path"
    done </proc/self/cgroup
}

# plan_cgroups NAME: where the groups called NAME will be, in `cgroups`. Below the caller's own, whose
# limits then hold for the test bed too; but version 2 wants groups with processes to have none below.
plan_cgroups() {
    local options path base
    cgroups=""
    while read -r options path; do
        base="/sys/fs/cgroup/${options#none,name=}"
        # In a container the path may be another's.
        [[ ! -d "$base$path" ]] || base="${base}${path%/}"
        cgroups+=" $base/$1"
    done < <(hierarchies)
    [[ -n "$cgroups" || ! -e /sys/fs/cgroup/cgroup.controllers ]] || cgroups=" /sys/fs/cgroup/$1"
    [[ -n "$cgroups" ]] || lack "no control groups are mounted in /sys/fs/cgroup"
    cgroups="${cgroups# }"
}

make_cgroups() { # make_cgroups NODE...
    local group file controllers
    for group in $cgroups; do
        mkdir "$group" || lack "this machine lets nobody make control groups"
        if [[ -e "$group/cgroup.clone_children" ]]; then
            # A group without processors takes no process.
            for file in cpuset.cpus cpuset.mems; do
                [[ ! -e "$group/$file" ]] || printf '%s\n' "$(<"${group%/*}/$file")" >"$group/$file"
            done
            echo 1 >"$group/cgroup.clone_children"
        else
            for file in "${group%/*}" "$group"; do
                controllers="$(<"$file/cgroup.controllers")"
                [[ -z "$controllers" ]] ||
                    echo "+${controllers// / +}" >"$file/cgroup.subtree_control"
            done
        fi
        mkdir "${@/#/"$group/"}"
    done
}

enter_cgroups() { # enter_cgroups NODE: this process, which then may call them its root
    local group
    for group in $cgroups; do echo 0 >"$group/$1/cgroup.procs"; done
}

# join_cgroups: for a process that entered a node's mounts from outside.
join_cgroups() {
    local file
    if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
        echo 0 >/sys/fs/cgroup/init/cgroup.procs
        return
    fi
    for file in /sys/fs/cgroup/*/cgroup.procs; do echo 0 >"$file"; done
}

# settle_cgroups: for a process in a node. In version 2 only groups that have none below them may have
# processes.
settle_cgroups() {
    [[ -e /sys/fs/cgroup/cgroup.controllers ]] || return 0
    mkdir -p /sys/fs/cgroup/init
    echo 0 >/sys/fs/cgroup/init/cgroup.procs
}

# mounts_of_cgroups: lines of fstab for a node.
mounts_of_cgroups() {
    local options
    if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
        echo 'testbed-cgroup /sys/fs/cgroup cgroup2 nosuid,nodev,noexec'
        return
    fi
    echo 'testbed-cgroups /sys/fs/cgroup tmpfs mode=755,nosuid,nodev,noexec'
    while read -r options _; do
        printf 'testbed-%s /sys/fs/cgroup/%s cgroup %s,X-mount.mkdir\n' \
            "${options#none,name=}" "${options#none,name=}" "$options"
    done < <(hierarchies)
}

# remove_cgroups GROUP...: with all that is below them. A group is busy for a moment after its last
# process.
remove_cgroups() {
    local group turn
    for group in "$@"; do
        for ((turn = 0; turn < 100; turn++)); do
            [[ -d "$group" ]] || break
            find "$group" -depth -type d -delete 2>/dev/null || sleep 0.02
        done
        [[ ! -d "$group" ]] || fail "the control group $group cannot be removed"
    done
}
