# shellcheck shell=bash
# Which test beds there are, and how they end. Sourced by scripts/testbed.
# shellcheck disable=SC2154 # caller is set there
#
# Each test bed is one PID namespace, nested in it one for each node. Killing its first process, the
# keeper, therefore ends all of it at once, whatever became of it: processes, and with the last of
# them the mounts, the network namespaces and their links. No more than that process is recorded.

# shellcheck source=cgroups.sh
source "$parts/cgroups.sh"

# Not under TMPDIR: whoever cleans up must look where whoever started it wrote. Only root writes here.
records=/run/flagperf-testbed

shopt -s nullglob

misuse() {
    printf 'testbed: %s\n' "$*" >&2
    exit 2
}
lack() { # the status that tells a test to be skipped
    printf 'testbed: %s\n' "$*" >&2
    exit 77
}
fail() {
    printf 'testbed: %s\n' "$*" >&2
    exit 1
}

need_root() {
    ((EUID == 0)) || lack "only root can make network namespaces and mounts"
}
need() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || lack "$tool is missing; scripts/setup installs it"
    done
}

absolute() {
    local path="$1"
    [[ "$path" == /* ]] || path="$caller/$path"
    realpath -m -- "$path"
}

# identity PID: "PID START". The start tells a process from a later one with the same number.
# Fails for a process that is gone, or that has ended and only waits to be reaped.
identity() {
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    local -a fields
    # The name, in parentheses, may hold spaces; what follows it does not.
    read -ra fields <<<"${stat##*) }"
    [[ "${fields[0]}" != [ZX] ]] || return 1
    printf '%s %s\n' "$1" "${fields[19]}"
}

alive() { # alive "PID START"
    [[ -n "$1" && "$(identity "${1%% *}")" == "$1" ]]
}

declare -A bed
load() { # load RECORD: into `bed`
    local key value
    bed=()
    { while IFS='=' read -r key value; do bed["$key"]="$value"; done <"$1"; } 2>/dev/null || true
}

# find_record DIR: its record in `record`, what that says in `bed`.
find_record() {
    for record in "$records"/*.bed; do
        load "$record"
        # A bare return in a trap would give the status from before the trap.
        [[ "${bed[dir]:-}" != "$1" ]] || return 0
    done
    record="" bed=()
    return 1
}

# end_bed: kills the keeper that `bed` names, and waits until nothing is left of it and of its control
# groups.
end_bed() {
    end_keeper
    local groups
    read -ra groups <<<"${bed[cgroups]:-}"
    remove_cgroups "${groups[@]}"
}

end_keeper() {
    local keeper="${bed[keeper]:-}" turn
    alive "$keeper" || return 0
    kill -KILL "${keeper%% *}" 2>/dev/null || true
    # The first process of a PID namespace is gone only when all others in it are.
    for ((turn = 0; turn < 3000; turn++)); do
        alive "$keeper" || return 0
        sleep 0.01
    done
    fail "${bed[dir]}: process ${keeper%% *} does not end"
}

# Only what `up` has made is deleted, told by the file that it writes first.
delete_dir() {
    [[ -f "$1/.testbed" ]] && rm -rf --one-file-system -- "$1"
    return 0
}

down_() {
    local dir="" remove=false argument
    for argument in "$@"; do
        case "$argument" in
        --remove) remove=true ;;
        -*) misuse "down knows no $argument" ;;
        *) dir="$argument" ;;
        esac
    done
    [[ -n "$dir" ]] || misuse "down needs a directory"
    dir="$(absolute "$dir")"
    while find_record "$dir"; do
        need_root
        end_bed
        rm -f "$record"
    done
    if $remove; then delete_dir "$dir"; fi
}

# ownerless: is the test bed in `bed` one that nobody can want any more?
ownerless() {
    # While it is being built, its builder answers for it.
    if alive "${bed[builder]:-}"; then return 1; fi
    if [[ -n "${bed[owner]:-}" ]]; then
        ! alive "${bed[owner]}"
    else
        ! alive "${bed[keeper]:-}"
    fi
}

sweep_() {
    local record
    for record in "$records"/*.bed; do
        load "$record"
        # Somebody else may have removed it since.
        [[ -n "${bed[dir]:-}" ]] || continue
        ownerless || continue
        end_bed
        rm -f "$record"
        # Without an owner it may be a person's, who wants to read the logs.
        if [[ -n "${bed[owner]:-}" ]]; then delete_dir "${bed[dir]}"; fi
    done
}

list_() {
    local record
    for record in "$records"/*.bed; do
        load "$record"
        [[ -n "${bed[dir]:-}" ]] || continue
        local state=up
        alive "${bed[keeper]:-}" || state=ended
        printf '%s\t%s\t%s\n' "$state" "${bed[kind]:-}" "${bed[dir]}"
    done
}
