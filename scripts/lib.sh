# shellcheck shell=bash
# What every script shares: where the project is, which tools it pins, how it speaks.
# Sourced, never run.

set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"

# A login shell adds rustup's folder to PATH, a CI runner often does not. The project's own tools
# come first, so that another version elsewhere on the machine does not decide what passes.
tools="$root/target/tools"
export PATH="$tools/bin:$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"

# shellcheck disable=SC2034 # used by the scripts that source this
{
    # Pinned, because a new version of a linter may refuse what an old one accepted.
    deny_version=0.20.2
    machete_version=0.9.2
    # Any version serves that understands .config/nextest.toml; this one is installed where none is.
    nextest_version=0.9.143
}

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# has_tool NAME [VERSION]: is cargo-NAME there, in that version if one is named?
has_tool() {
    local found
    command -v "cargo-$1" >/dev/null || return 1
    found="$("cargo-$1" --version 2>/dev/null)" || return 1
    # Some print "cargo-deny 0.20.2", some print the number alone.
    [[ -z "${2:-}" || " ${found%%$'\n'*} " == *" $2 "* ]]
}
