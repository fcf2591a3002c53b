# Sourced by the scripts beside it: how they speak, and what they share.
# shellcheck shell=bash

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cache=${SPIN_DOCKER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/spin-docker}
tools=$cache/tools
export PATH="$tools/bin:$HOME/.cargo/bin:$PATH:/usr/sbin:/sbin"

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
fail() { printf '\033[31merror:\033[0m %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# The docker CLI looks at DOCKER_HOST, its context and the usual socket; rootless engines and Docker Desktop put theirs elsewhere.
if [ -z "${DOCKER_HOST:-}${DOCKER_CONTEXT:-}" ] && [ ! -S /var/run/docker.sock ]; then
    for socket in "${XDG_RUNTIME_DIR:-/nowhere}/docker.sock" "$HOME/.docker/run/docker.sock" "$HOME/.docker/desktop/docker.sock"; do
        [ -S "$socket" ] && export DOCKER_HOST="unix://$socket" && break
    done
fi

# As root, or through sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif has sudo; then sudo "$@"; else fail "need root for: $*"; fi
}

is_debian() { [ -e /etc/os-release ] && grep -qE '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release; }

# Installs those Debian packages that are missing.
packages() {
    local missing=() package
    for package in "$@"; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    is_debian || fail "please install: ${missing[*]}"
    say "installing ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
