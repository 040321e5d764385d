# shellcheck shell=bash
# Starts the sshd of a node. Sourced by node.sh, before the node's own mounts cover this file, and by
# faults.sh, which hands it to a shell inside the node.
# shellcheck disable=SC2154 # exported by up.sh

# start_sshd NAME ADDRESS PORT: returns when it listens. Needs client_key, the public key.
start_sshd() {
    local name="$1" address="$2" port="$3" home=/run/testbed turn
    printf '%s\n' "$client_key" >"$home/authorized_keys"
    {
        # The first value given for an option counts.
        [[ ! -e "$home/sshd_options" ]] || printf '%s\n' "$(<"$home/sshd_options")"
        printf '%s\n' \
            "ListenAddress $address:$port" \
            "HostKey $home/host_key" \
            "PidFile $home/sshd.pid" \
            "AuthorizedKeysFile $home/authorized_keys" \
            'PermitRootLogin prohibit-password' \
            'PasswordAuthentication no' \
            'KbdInteractiveAuthentication no' \
            'StrictModes no' \
            'UsePAM no' \
            'UseDNS no' \
            'MaxStartups 1000' \
            'MaxSessions 500' \
            'PrintMotd no' \
            'PrintLastLog no' \
            'KexAlgorithms curve25519-sha256' \
            'Subsystem sftp internal-sftp'
    } >"$home/sshd_config"
    [[ -e "$home/host_key" ]] || ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$home/host_key"

    : >"$home/sshd.pid"
    # sshd starts itself anew for every connection, and therefore wants to know its own path.
    "$(type -P sshd)" -D -f "$home/sshd_config" -E "$home/sshd.log" \
        </dev/null >/dev/null 2>&1 &
    # It writes this file once it listens.
    for ((turn = 0; turn < 2000; turn++)); do
        [[ ! -s "$home/sshd.pid" ]] || return 0
        kill -0 $! 2>/dev/null || break
        if [[ -n "${quiet:-}" ]]; then
            # A pipe that nobody writes to: a third of the time of a node goes into programs that start.
            read -r -t 0.003 -u "$quiet" || true
        else
            sleep 0.005
        fi
    done
    echo "sshd does not listen on $address:$port" >&2
    return 1
}
