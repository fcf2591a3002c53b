# Sourced by the tests beside it: a machine each, and what they say of it.
# shellcheck shell=bash

# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/../../scripts/lib.sh"

machine=
api=http://127.0.0.1:8080/v1

# boot NAME [OPTION…]: a machine that ends with the test, with the test image on its engine if it has one.
boot() {
    machine=$1
    trap 'tests/machine/machine stop "$machine"' EXIT
    trap 'exit 1' INT TERM
    tests/machine/machine stop "$machine"
    tests/machine/machine start "$@"
    mkdir -p "$(tests/machine/machine root "$machine")/packages"
}

load_image() {
    DOCKER_BUILDKIT=0 docker build -q -t spin-docker-test/product tests/image >/dev/null 2>&1
    docker save spin-docker-test/product | in_it docker load -q >/dev/null
}

in_it() { tests/machine/machine exec "$machine" "$@"; }
sh_in() { in_it bash -c "$1"; }

# put FILE: into /packages of the machine.
put() { cp "$1" "$(tests/machine/machine root "$machine")/packages/"; }

# What apt and the package say to whoever installs it; its exit code is apt's.
apt() { sh_in "set -o pipefail; DEBIAN_FRONTEND=noninteractive apt-get $* 2>&1 | tr -d '\\r'"; }
install() { apt "install -y -qq --no-install-recommends $*"; }

# A request to the API in the machine.
ask() { in_it curl --silent --show-error --max-time 30 --user admin:spindocker "$@"; }

# The field of a container, which is a text.
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1; }

# within SECONDS WHAT COMMAND…: until it succeeds.
within() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt "$deadline" ] || wrong "$what"
        sleep 0.2
    done
    ok "$what"
}

# What must be so. On a failure, what the daemon said is shown.
ok() { printf '    ok: %s\n' "$1" >&2; }
wrong() {
    in_it journalctl --unit spin-docker --no-pager --lines 40 >&2 || true
    fail "not so: $1${2:+
$2}"
}
that() {
    local what=$1
    shift
    "$@" >/dev/null 2>&1 || wrong "$what" "$*"
    ok "$what"
}
says() { grep -qF -- "$3" <<<"$2" && ok "$1" || wrong "$1" "expected: $3
got: $2"; }

is_active() { [ "$(in_it systemctl is-active spin-docker 2>/dev/null)" = active ]; }
answers() { sh_in "exec 3<>/dev/tcp/127.0.0.1/$1; echo hello >&3; timeout 10 grep -q hello <&3"; }
# shellcheck disable=SC2016
is_frozen() {
    sh_in 'group=$(sed -n "s/^0:://p; s/^[0-9]*:freezer://p" /proc/$(docker inspect -f "{{.State.Pid}}" '"$1"')/cgroup | grep docker)
        grep -q "frozen 1" "/sys/fs/cgroup$group/cgroup.events" 2>/dev/null || grep -q FROZEN "/sys/fs/cgroup/freezer$group/freezer.state"'
}
# By its control group, and not by the engine's pause, which uses the same freezer.
is_frozen_by_us() { is_frozen "$1" && [ "$(in_it docker inspect -f '{{.State.Paused}}' "$1")" = false ]; }
is_awake() { ! is_frozen "$1"; }
pid() { in_it docker inspect -f '{{.State.Pid}}' "$1"; }
