"""A create beside `docker run`, and what an engine's start is made of."""

import json
import statistics
import time

from .ours import Daemon, docker
from .report import Goal, Section, times

IMAGE = "spin-docker-test/product"
OURS = "`POST /v1/containers` until 201"
THEIRS = "`docker run -d -P`"
GOAL = 0.80
STARTS = """`docker start` of a container created beforehand, by its network. The docker CLI's own time (about 20 ms) is in each.

{table}

What this shows: publishing three ports costs about a quarter of a start on the default bridge, and we do not publish. A network of our own costs
about 50 ms more than the default bridge, since the engine sets up its embedded DNS resolver in each container there, and takes
no option to leave it out; addresses of our choice need such a network. The network namespace itself is the largest part."""


def measure(plan):
    with Daemon(plan) as daemon:
        made = creates(daemon, plan.pairs)
        started = starts(daemon, max(1, plan.pairs // 2))
    ratio = statistics.median(made[OURS]) / statistics.median(made[THEIRS])
    text = f"The same image on the same engine, {plan.pairs} pairs; three TCP ports are exposed.\n\n{times(made, THEIRS)}"
    text += "\n\n### What an engine's start is made of\n\n"
    text += STARTS.format(table=times(started, "the default bridge, three published ports (`-P`)"))
    goal = Goal(OURS, THEIRS, f"≤ {GOAL:.2f} × its time", f"{ratio:.2f}", ratio <= GOAL)
    return Section("A create", text, [goal])


def creates(daemon, pairs):
    body = json.dumps({"image": IMAGE})
    ways = {
        OURS: (lambda: daemon.ask("POST", "/v1/containers", body), lambda made: daemon.ask("DELETE", made["uri"])),
        THEIRS: (lambda: docker("run", "-d", "-P", IMAGE), lambda made: docker("rm", "-fv", made)),
    }
    taken = {name: [] for name in ways}
    for _ in range(pairs):
        for name, (act, clean) in ways.items():
            took, made = timed(act)
            taken[name].append(took)
            clean(made)
    return taken


def starts(daemon, rounds):
    """What of an engine's start can be saved: the same image, created beforehand, and only its start timed."""
    ways = {
        "the default bridge, three published ports (`-P`)": ["-P"],
        "the default bridge, nothing published": [],
        "our network, nothing published: ours": ["--network", f"spin-docker-{daemon.instance}"],
        "no network (`--network none`)": ["--network", "none"],
        "no network namespace (`--network host`)": ["--network", "host"],
    }
    taken = {name: [] for name in ways}
    for _ in range(rounds):
        for name, options in ways.items():
            container = docker("create", *options, IMAGE)
            took, _ = timed(lambda: docker("start", container))
            taken[name].append(took)
            docker("rm", "-fv", container)
    return taken


def timed(act):
    begun = time.perf_counter()
    result = act()
    return (time.perf_counter() - begun) * 1000, result
