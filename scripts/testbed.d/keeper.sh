#!/usr/bin/env bash
# The first process of a test bed: writes down who it is, builds the rest, and then waits. When it
# ends, all of the test bed ends. It says "up" on its standard output once every node serves.
#
# Started by up.sh in new namespaces, with dir, kind, port, record, tied, parts, cgroups and
# archive set.
# shellcheck disable=SC2154 # set by up.sh
set -euo pipefail

if [[ "${1:-}" != build ]]; then
    # What the caller has open, a lock perhaps, is not for processes that stay. Bash reads this on 255.
    for fd in /proc/self/fd/*; do
        fd="${fd##*/}"
        ((fd <= 2 || fd == 255)) || exec {fd}>&-
    done
    # /proc is still the machine's, and so is the number found there.
    read -r stat </proc/self/stat
    read -ra fields <<<"${stat##*) }"
    printf 'keeper=%s %s\n' "${stat%% *}" "${fields[19]}" >>"$record"
    printf '%s %s\n' "${stat%% *}" "${fields[19]}" >"$dir/keeper"
    export keeper="${stat%% *}"
    exec tini -- bash "$0" build
fi

# shellcheck source=describe.sh
source "$parts/describe.sh"
mapfile -t names <"$dir/nodes"
declare -A address=() init=()

printf 'controller\n' >/proc/sys/kernel/hostname
if [[ "$kind" != loopback ]]; then
    port=22
    # 256 nodes that look for routers and neighbours of version 6 keep a small machine busy.
    printf 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
    printf 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
    ip -batch - <<-END
	link set lo up
	link add br0 type bridge
	link set br0 up
	address add $controller_address/16 dev br0
	END
fi

number=0
for name in "${names[@]}"; do
    number=$((number + 1))
    place="$((1 + (number - 1) / 250)).$((1 + (number - 1) % 250))"
    case "$kind" in
    loopback) address[$name]="127.0.$place" ;;
    *) address[$name]="10.77.$place" ;;
    esac
done
{
    printf '127.0.0.1 localhost\n'
    [[ "$kind" == loopback ]] || printf '%s controller\n' "$controller_address"
    for name in "${names[@]}"; do printf '%s %s\n' "${address[$name]}" "$name"; done
} >"$dir/etc/hosts"

# In here nothing of the machine can be written but this folder, and some of its files have others in
# their place. The nodes inherit it.
mount --bind "$dir" "$dir"
mount -o remount,bind,ro /
for file in "$dir"/etc/*; do
    [[ ! -e "/etc/${file##*/}" ]] || printf '%s /etc/%s none bind,ro\n' "$file" "${file##*/}"
done >"$dir/fstab"
mount --all --fstab "$dir/fstab"
cd "$dir"

if [[ "$kind" == slurm ]]; then
    # shellcheck source=slurm.sh
    source "$parts/slurm.sh"
    start_slurm_controller
fi

mkfifo "$dir/ready" "$dir/quiet"
exec {ready}<>"$dir/ready" {quiet}<>"$dir/quiet"
rm "$dir/ready" "$dir/quiet"
export ready quiet port

# A few at a time: hundreds that wait for the kernel's one lock on networks hinder each other.
at_once=4
own_network=()
[[ "$kind" == loopback ]] || own_network=(--net)
own_cgroups=()
[[ -z "$cgroups" ]] || own_cgroups=(--cgroup)
# shellcheck source=cgroups.sh
source "$parts/cgroups.sh"
start_node() (
    [[ -z "$cgroups" ]] || enter_cgroups "$1"
    exec unshare "${own_cgroups[@]}" --mount --uts --ipc --pid "${own_network[@]}" --fork --kill-child \
        bash "$parts/node.sh" "$1" "${address[$1]}" \
        </dev/null >"$dir/nodes.d/$1/log" 2>&1
)
await_a_node() {
    local name pid
    # Each node says its name, and then its first process or nothing.
    read -r -t 60 -u "$ready" name pid || { echo "no node came up within a minute" >&2 && exit 1; }
    [[ -n "$pid" ]] || { echo "$name failed" >&2 && exit 1; }
    init[$name]="$pid"
    printf '%s\n' "$pid" >"$dir/nodes.d/$name/init"
}
for name in "${names[@]:0:at_once}"; do start_node "$name" & done
for name in "${names[@]:at_once}"; do
    await_a_node
    start_node "$name" &
done
while ((${#init[@]} < ${#names[@]})); do await_a_node; done
exec {ready}>&- {quiet}>&-

[[ "$kind" == loopback ]] ||
    for name in "${names[@]}"; do
        printf 'link set %s master br0\nlink set %s up\n' "$name" "$name"
    done | ip -batch -
[[ "$kind" != slurm ]] || await_slurm_nodes
describe

echo up
exec >/dev/null 2>&1
if [[ "$tied" == true ]]; then
    exec cat
else
    exec sleep infinity
fi
