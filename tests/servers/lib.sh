# Sourced by the scripts beside it: a clean Debian of their own, and what is asked of it.
# shellcheck shell=bash
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

scratch=$(mktemp -d)
machine=

# Made anew, with the options of tests/machine/machine, and gone at the end of the script.
begin() {
    machine=$1
    trap end EXIT
    trap 'exit 130' INT TERM
    tests/machine/machine start "$@"
}

end() {
    local status=$?
    if [ $status != 0 ]; then on_server journalctl --no-pager -n 20 -u spin-docker >&2 || true; fi
    tests/machine/machine stop "$machine"
    rm -rf "$scratch"
}

on_server() { tests/machine/machine exec "$machine" "$@"; }
address() { tests/machine/machine address "$machine"; }

# Does it until it succeeds, for so many seconds.
within() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $deadline ] || fail "still not after its time: $*"
        sleep 0.2
    done
}

# Images that are here already need not be built there again: each says what it was built from, and is left alone. The names of 2014
# they do not bring: whoever builds images there gives them those.
bring_images() {
    docker save debian:bookworm-slim spin-docker/sd-{base,postgres,django} | on_server docker load -q >/dev/null
}

# The package, made of what stands here.
package() { scripts/deb --debug | tail -n 1; }

# What the call prints must hold the text, whether it succeeds or not.
expect() {
    local text=$1 got
    shift
    got=$("$@" 2>&1) || true
    grep -qF -- "$text" <<<"$got" || fail "no \"$text\" from: $*
$got"
}
