# shellcheck shell=bash
# What container engines find on the nodes: their settings, which commands there are, and where their
# data lie. Sourced by up.sh, before there are nodes, and by node.sh.
# shellcheck disable=SC2154 # set by those who source this

need_engine() { # need_engine ENGINE
    case "$1" in
    docker | nerdctl) need docker dockerd containerd runc ;;
    podman) need podman conmon runc ;;
    none) return ;;
    *) misuse "--engine: docker, podman, nerdctl or none, not $1" ;;
    esac
    [[ "$1" == podman || -d /etc/docker ]] || lack "/etc/docker is missing; scripts/setup installs it"
    [[ "$1" != podman || -d /etc/containers ]] ||
        lack "/etc/containers is missing; scripts/setup installs it"
}

# full_rights: may root here grant every capability, and raise limits?
full_rights() {
    local name value
    while read -r name value; do
        [[ "$name" != CapBnd: ]] || break
    done </proc/self/status
    ((0x$value & 1 << 24)) # CAP_SYS_RESOURCE
}

# write_engines: what every node shares, in $dir/engines.
write_engines() {
    local home="$dir/engines" engine folder command
    # Runs of runc by way of the other take some milliseconds longer. On loopback it also sees to the
    # network.
    runtime=runc
    [[ "$kind" != loopback ]] && full_rights || runtime=clamped
    mkdir -p "$home/oci"
    cp "$parts/oci-runtime" "$parts/oci-clamp.py" "$home/oci/"

    # A node has the commands of its own engine only, though the machine has them all: the others
    # are covered by what overlayfs takes for a deleted file.
    for engine in docker podman nerdctl none; do
        for folder in usr/bin usr/local/bin; do
            mkdir -p "$home/hidden/$engine/$folder"
            for command in docker podman nerdctl; do
                [[ "$command" == "$engine" || ! -e "/$folder/$command" ]] ||
                    mknod "$home/hidden/$engine/$folder/$command" c 0 0
            done
        done
    done
    local stand_in="$home/hidden/nerdctl/usr/local/bin/nerdctl"
    rm -f "$stand_in"
    { printf '#!/usr/bin/python3 -IS\n' && cat "$parts/nerdctl.py"; } >"$stand_in"
    chmod 755 "$stand_in"
    # Where there is an init, it mounts these; users of Podman need mqueue for --ipc=host.
    mkdir -p "$home/dev"/{pts,shm,mqueue}
    write_docker "$home/docker"
    write_podman "$home/podman"
}

write_docker() {
    mkdir "$1"
    # No bridge: nothing shall need firewall rules, and containers of the harness use the node's own
    # network.
    cat >"$1/daemon.json" <<-END
	{
	  "bridge": "none",
	  "iptables": false,
	  "ip6tables": false,
	  "containerd": "/run/containerd/containerd.sock",
	  "data-root": "/run/engine",
	  "runtimes": { "clamped": { "path": "/run/oci/oci-runtime" } },
	  "default-runtime": "$runtime"
	}
	END
    # Without what nobody here uses it starts in half the time.
    cat >"$1/containerd.toml" <<-END
	version = 2
	root = "/run/engine/containerd"
	state = "/run/containerd"
	disabled_plugins = [
	  "io.containerd.grpc.v1.cri",
	  "io.containerd.internal.v1.opt",
	  "io.containerd.snapshotter.v1.aufs",
	  "io.containerd.snapshotter.v1.btrfs",
	  "io.containerd.snapshotter.v1.devmapper",
	  "io.containerd.snapshotter.v1.native",
	  "io.containerd.snapshotter.v1.zfs",
	]
	END
    [[ "$kind" != loopback ]] || : >"$1/own-network"
}

write_podman() {
    cp -r /etc/containers "$1"
    [[ "$runtime" == runc ]] || runtime=testbed-clamped
    if [[ "$kind" == loopback ]]; then
        printf '#!/bin/sh\necho '\''{"error": "%s"}'\''\nexit 1\n' \
            'nodes on loopback make no networks for containers; take --net=host' >"$dir/engines/oci/netavark"
        chmod 755 "$dir/engines/oci/netavark"
    fi
    {
        printf '[containers]\n'
        # Where the network is the machine's, nobody shall make bridges in it.
        [[ "$kind" != loopback ]] || printf 'netns = "host"\n'
        printf '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "%s"\n' \
            "$runtime"
        [[ "$kind" != loopback ]] || printf 'helper_binaries_dir = ["/run/oci"]\n'
        printf '[network]\nnetwork_backend = "netavark"\n'
        printf '[engine.runtimes]\ntestbed-clamped = ["/run/oci/oci-runtime"]\n'
    } >"$1/containers.conf"
    printf '%s\n' '[storage]' 'driver = "overlay"' 'graphroot = "/run/engine/storage"' \
        'runroot = "/run/containers/storage"' >"$1/storage.conf"
}

# mounts_of_engine: lines of fstab for a node; $own is its folder, $dir the test bed's.
mounts_of_engine() {
    local engine folder
    engine="$(<"$own/engine")"
    mounts_of_cgroups
    # What speaks for nerdctl, and what makes and shows nodes, reach the client where no command is found.
    [[ "$engine" != nerdctl ]] || printf '%s\n' \
        "$(dirname "$(command -v docker)") /run/engine-client none bind,X-mount.mkdir"
    for folder in usr/bin usr/local/bin; do
        printf 'testbed-bin /%s overlay ro,lowerdir=%s:/%s\n' \
            "$folder" "$dir/engines/hidden/$engine/$folder" "$folder"
    done
    [[ "$engine" != none ]] || return 0
    printf '%s\n' "$dir/engines/oci /run/oci none bind,X-mount.mkdir"
    if [[ -e "$own/engine-disk" ]]; then
        printf 'testbed-engine /run/engine tmpfs mode=711,X-mount.mkdir,size=%s\n' \
            "$(<"$own/engine-disk")"
    else
        mkdir -p "$own/engine-data"
        printf '%s\n' "$own/engine-data /run/engine none bind,X-mount.mkdir"
    fi
    # Its own copy: dockerd keeps a key there, podman its networks.
    local settings="${engine/nerdctl/docker}"
    cp -r "$dir/engines/$settings" "$own/$settings"
    if [[ "$settings" == docker ]]; then
        printf '%s\n' "$own/docker /etc/docker none bind"
    else
        printf '%s\n' "$own/podman /etc/containers none bind" \
            '/dev/pts /run/pts none bind,X-mount.mkdir' \
            "testbed-dev /dev overlay ro,lowerdir=$dir/engines/dev:/dev" \
            '/run/pts /dev/pts none bind' \
            'testbed-mqueue /dev/mqueue mqueue nosuid,nodev,noexec' \
            'testbed-cache /var/cache tmpfs mode=755,nosuid,nodev' \
            'testbed-alice-run /run/user/20001 tmpfs mode=700,uid=20001,gid=20001,X-mount.mkdir' \
            'testbed-bob-run /run/user/20002 tmpfs mode=700,uid=20002,gid=20002,X-mount.mkdir'
    fi
}
