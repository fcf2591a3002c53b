"""Run in a network namespace of its own: measures every side, and prints the figures as JSON."""

import contextlib
import json
import sys

from ..plan import plan
from ..tcp import backends, loads
from ..tcp.prepare import prepare
from . import sides


def main():
    chosen = plan(quick="--quick" in sys.argv)
    prepare()
    figures = {}
    with backends.http(), contextlib.ExitStack() as stack:
        running = [stack.enter_context(side(chosen)) for side in sides.ALL]
        for _ in range(chosen.rounds):
            for side in running:
                measured = loads.small(side, chosen.load_seconds, "-H", f"Host: {sides.HOST}")
                print(side.name, measured, file=sys.stderr, flush=True)
                figures.setdefault(side.name, []).append(measured)
    json.dump(figures, sys.stdout)


main()
