"""Run in a network namespace of its own: measures every side under every load, and prints the figures as JSON."""

import contextlib
import json
import sys

from ..plan import plan
from . import backends, loads, sides
from .prepare import prepare

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
                        if name == "new" and side.name not in sides.COMPARED:
                            continue
                        note(figures, name, side, load(side, seconds))
        for side in sides.ALL:
            with side(chosen) as running:
                note(figures, "idle", running, loads.idle(running, 0))
    json.dump(figures, sys.stdout)


def note(figures, load, side, measured):
    print(load, side.name, measured, file=sys.stderr, flush=True)
    figures.setdefault(load, {}).setdefault(side.name, []).append(measured)


main()
