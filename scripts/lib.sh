# Sourced by the scripts beside it: how they speak, and what they share.
# shellcheck shell=bash

set -euo pipefail
self=$(readlink -f "$0")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A service of the system has none, and cloud-init is one.
export HOME=${HOME:-~}
cache=${SPIN_DOCKER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/spin-docker}
tools=$cache/tools
export PATH="$tools/bin:$HOME/.cargo/bin:$PATH:/usr/sbin:/sbin"

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
fail() { printf '\033[31merror:\033[0m %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# What is built from here on names no folder of this machine, and no time but the commit's. C files too: SQLite's and the allocator's.
build_anywhere() {
    local cargo=${CARGO_HOME:-$HOME/.cargo}
    export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
    export CFLAGS="-ffile-prefix-map=$PWD=/spin-docker -ffile-prefix-map=$cargo=/cargo"
    export RUSTFLAGS="--remap-path-prefix=$PWD=/spin-docker --remap-path-prefix=$cargo=/cargo"
}

# As root, or through sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif has sudo; then sudo "$@"; else fail "need root for: $*"; fi
}

is_debian() { [ -e /etc/os-release ] && grep -qE '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release; }

# Installs those Debian packages that are missing. Elsewhere, what they are called is not ours to know.
packages() {
    local missing=() package
    if ! is_debian; then
        say "not Debian: if something is missing below, it is among what Debian calls $*"
        return
    fi
    for package in "$@"; do
        [ "$(dpkg-query -Wf '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    say "installing ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

engine_answers() { has docker && timeout 20 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# Finds the engine as the docker CLI does (DOCKER_HOST, the context, the usual socket), and where nothing else is asked for,
# at the sockets of rootless engines and of Docker Desktop. What follows in the script uses it.
use_engine() {
    engine_answers && return
    has docker && [ -z "${DOCKER_HOST:-}" ] && [ "$(docker_context)" = default ] || return 1
    local socket
    for socket in "${XDG_RUNTIME_DIR:-/nowhere}/docker.sock" "$HOME/.docker/run/docker.sock" "$HOME/.docker/desktop/docker.sock"; do
        if [ -S "$socket" ] && DOCKER_HOST=unix://$socket engine_answers; then
            export DOCKER_HOST=unix://$socket
            return
        fi
    done
    return 1
}

docker_context() { docker context inspect --format '{{.Name}}' 2>/dev/null || echo default; }

# Whoever was put into the group `docker` since they logged in need not log in again: the script starts anew, in the group.
with_docker_group() {
    if has sg && [ -z "${WITH_DOCKER_GROUP:-}" ] && id -nG "$(id -un)" | tr ' ' '\n' | grep -qx docker; then
        export WITH_DOCKER_GROUP=yes
        exec sg docker -c "$(printf '%q ' "$self" "$@")"
    fi
}

# An engine that answers, for this script and what it starts.
need_engine() {
    scripts/engine
    use_engine || with_docker_group "$@"
    use_engine
}
