#!/usr/bin/env bash
# The first process of a node: makes the inside of the node, starts what serves it, and becomes tini.
#
#   node.sh NAME ADDRESS
#
# Started by keeper.sh in new namespaces, with dir, kind, port, keeper, ready and parts set, and for
# container engines cgroups and archive.
# shellcheck disable=SC2154 # set by keeper.sh
set -euo pipefail
name="$1" address="$2"
trap 'printf "%s\n" "$name" >&"$ready"' EXIT

# /proc is still the machine's, and so is the number found there.
read -r stat </proc/self/stat
read -ra fields <<<"${stat##*) }"
identity="${stat%% *} ${fields[19]}"

# Read now: what is mounted below may cover the place where they lie.
# shellcheck source=sshd.sh
source "$parts/sshd.sh"
# shellcheck source=slurm.sh
source "$parts/slurm.sh"
# shellcheck source=cgroups.sh
source "$parts/cgroups.sh"
# shellcheck source=engine-setup.sh
source "$parts/engine-setup.sh"
# shellcheck source=engine.sh
source "$parts/engine.sh"
[[ -z "$archive" ]] || exec {image}<"$archive"

own="$dir/nodes.d/$name"
printf '%s\n' "$name" >/proc/sys/kernel/hostname

if [[ "$kind" != loopback ]]; then
    printf 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
    printf 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
    ip -batch - <<-END
	link set lo up
	link add eth0 type veth peer name $name netns /proc/$keeper/ns/net
	address add $address/16 dev eth0
	link set eth0 up
	route add default via $controller_address
	END
fi

# A line for each mount, so that one process makes them all. The names in the first column are
# told apart from what is mounted already: mount would leave that out.
{
    printf '%s\n' \
        'testbed-run /run tmpfs mode=755,nosuid,nodev' \
        'testbed-sshd /run/sshd tmpfs mode=755,X-mount.mkdir' \
        "$own /run/testbed none bind,X-mount.mkdir"
    # The folder of the test bed is mostly under /tmp, which is about to be covered.
    [[ "$kind" != slurm ]] || {
        printf '%s\n' "$dir/slurm /run/slurm none bind,X-mount.mkdir"
        # Debian's package makes it; there slurmd and srun look where nothing tells them otherwise.
        [[ ! -d /etc/slurm ]] || printf '%s\n' "$dir/slurm /etc/slurm none bind"
    }
    # These name the folder of the test bed too.
    [[ -z "$cgroups" ]] || mounts_of_engine
    printf '%s\n' \
        'testbed-root /root tmpfs mode=700' \
        'testbed-home /home tmpfs mode=755' \
        'testbed-alice /home/alice tmpfs mode=700,uid=20001,gid=20001,X-mount.mkdir' \
        'testbed-bob /home/bob tmpfs mode=700,uid=20002,gid=20002,X-mount.mkdir' \
        'testbed-tmp /tmp tmpfs mode=1777,nosuid,nodev' \
        'testbed-vartmp /var/tmp tmpfs mode=1777,nosuid,nodev' \
        'testbed-shm /dev/shm tmpfs mode=1777,nosuid,nodev' \
        'testbed-proc /proc proc nosuid,nodev,noexec'
    [[ "$kind" != slurm ]] || printf '%s\n' "/run/slurm $dir/slurm none bind,X-mount.mkdir"
} >"$own/fstab"
mount --all --fstab "$own/fstab"

if [[ -e /run/testbed/banner ]]; then
    for home in /root /home/alice; do
        printf 'echo "%s"\n' "Welcome to $name." "Use of this system is logged." >"$home/.bashrc"
    done
fi

[[ "$kind" != slurm ]] || start_slurmd "$name"
if [[ -n "$cgroups" ]]; then
    settle_cgroups
    # As an init leaves it; engines expect that. It is among the node's own processes.
    mount --make-rshared /
    start_engine
    load_image <&"$image" >/dev/null
    exec {image}<&-
fi
start_sshd "$name" "$address" "$port"

printf '%s %s\n' "$name" "$identity" >&"$ready"
# tini wants a process to look after. This number of seconds is how `testbed ps` knows it.
exec tini -- sleep 2147483647 </dev/null >/dev/null 2>&1 {ready}>&- {quiet}<&-
