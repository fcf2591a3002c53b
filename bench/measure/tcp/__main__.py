"""Run in a network namespace of its own: measures every side under every load, and prints the figures as JSON."""

import contextlib
import json
import resource
import subprocess
import sys

from ..plan import plan
from . import backends, loads, sides

LOADS = {
    "small": loads.small,
    "new": loads.new,
    "bulk1": loads.bulk(1),
    "bulk16": loads.bulk(16),
    "first": loads.first_byte,
}


def main():
    chosen = plan(quick="--quick" in sys.argv)
    prepare()
    figures = {}
    with backends.http(), backends.streams():
        with contextlib.ExitStack() as stack:
            running = [stack.enter_context(side(chosen)) for side in sides.ALL]
            for _ in range(chosen.rounds):
                for name, load in LOADS.items():
                    seconds = chosen.connecting_seconds if name == "new" else chosen.load_seconds
                    for side in running:
                        note(figures, name, side, load(side, seconds))
        for side in sides.ALL:
            with side(chosen) as running:
                note(figures, "idle", running, loads.idle(running, 0))
    json.dump(figures, sys.stdout)


def note(figures, load, side, measured):
    print(load, side.name, measured, file=sys.stderr, flush=True)
    figures.setdefault(load, {}).setdefault(side.name, []).append(measured)


def prepare():
    """Loopback, and a congestion control that does not pace: BBR, where it is the host's default, paces even what stays on the
    host. A namespace may only choose what the host allows it, which is always reno."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with contextlib.suppress(OSError):
        set_kernel("net/ipv4/tcp_congestion_control", "reno")
        set_kernel("net/ipv4/tcp_congestion_control", "cubic")
    set_kernel("net/core/somaxconn", "4096")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def set_kernel(name, value):
    with open(f"/proc/sys/{name}", "w") as file:
        file.write(value)


main()
