# shellcheck shell=bash
# Writes down what a test bed is. Sourced by keeper.sh, which has made it.
# shellcheck disable=SC2154 # set by keeper.sh

# describe: from the variables of keeper.sh.
describe() {
    describe_hosts
    describe_ssh
    describe_json >"$dir/testbed.json.new"
    mv "$dir/testbed.json.new" "$dir/testbed.json"
}

describe_hosts() {
    local name key
    for name in "${names[@]}"; do
        read -r key <"$dir/nodes.d/$name/host_key.pub"
        if ((port == 22)); then
            printf '%s,%s %s\n' "$name" "${address[$name]}" "${key% *}"
        else
            printf '%s,[%s]:%s %s\n' "$name" "${address[$name]}" "$port" "${key% *}"
        fi
    done >"$dir/known_hosts"
}

# With -F this file stands for both the user's own and the system's. A node with a relay before it
# has a file in ssh_config.d, which counts because it comes first.
describe_ssh() {
    local name
    {
        printf 'Include %s/ssh_config.d/*\n\n' "$dir"
        for name in "${names[@]}"; do
            printf 'Host %s\n    HostName %s\n    Port %s\n' "$name" "${address[$name]}" "$port"
        done
        printf '\nHost *\n'
        printf '    %s\n' \
            'User root' \
            "IdentityFile $dir/client_key" \
            'IdentitiesOnly yes' \
            'IdentityAgent none' \
            "UserKnownHostsFile $dir/known_hosts" \
            'GlobalKnownHostsFile none' \
            'StrictHostKeyChecking yes' \
            'UpdateHostKeys no' \
            'BatchMode yes' \
            'ControlMaster no'
    } >"$dir/ssh_config"
}

describe_json() {
    local name pid network separator=""
    printf '{\n  "kind": "%s",\n  "keeper": %s,\n' "$kind" "$keeper"
    if [[ "$kind" == loopback ]]; then
        printf '  "netns": null,\n'
    else
        printf '  "netns": "/proc/%s/ns/net",\n' "$keeper"
    fi
    printf '  "nodes": ['
    for name in "${names[@]}"; do
        pid="${init[$name]%% *}"
        if [[ "$kind" == loopback ]]; then
            network='"netns": null, "interface": "lo", "peer": null'
        else
            network="\"netns\": \"/proc/$pid/ns/net\", \"interface\": \"eth0\", \"peer\": \"$name\""
        fi
        printf '%s\n    {"name": "%s", "address": "%s", "port": %s, "init": %s, %s}' "$separator" \
            "$name" "${address[$name]}" "$port" "$pid" "$network"
        separator=,
    done
    printf '\n  ]\n}\n'
}
