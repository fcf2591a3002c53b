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
STARTS = """`docker start` of a container created beforehand, by its network. The docker CLI's own time is in each: `docker version` takes
{cli:.0f} ms here.

{table}

Of these, publishing the ports costs {published:.0f} ms, which is spared here; a network of our own instead of the default bridge costs {own:.0f} ms,
since the engine sets up its embedded DNS resolver in each container there (an old one by a process of its own, a newer one by itself), and takes no
option to leave it out (addresses of our choice need such a network); the network namespace with nothing in it costs {namespace:.0f} ms."""
PUBLISHED, UNPUBLISHED = "the default bridge, three published ports (`-P`)", "the default bridge, nothing published"
OWN_NETWORK, NO_NETWORK = "our network, nothing published: ours", "no network (`--network none`)"
NO_NAMESPACE = "no network namespace (`--network host`)"


def measure(plan):
    with Daemon(plan) as daemon:
        made = creates(daemon, plan.pairs)
        started = starts(daemon, max(1, plan.pairs // 2))
    ratio = statistics.median(made[OURS]) / statistics.median(made[THEIRS])
    text = f"The same image on the same engine, {plan.pairs} pairs; three TCP ports are exposed.\n\n{times(made, THEIRS)}"
    text += "\n\n### What an engine's start is made of\n\n"
    text += about(started)
    goal = Goal(OURS, THEIRS, f"≤ {GOAL:.2f} × its time", f"{ratio:.2f}", ratio <= GOAL)
    return Section("A create", text, [goal])


def about(started):
    """What the starts cost, and what of it is what."""
    median = {name: statistics.median(taken) for name, taken in started.items()}
    cli = statistics.median(timed(lambda: docker("version"))[0] for _ in range(5))
    return STARTS.format(
        table=times(started, PUBLISHED),
        cli=cli,
        published=median[PUBLISHED] - median[UNPUBLISHED],
        own=median[OWN_NETWORK] - median[UNPUBLISHED],
        namespace=median[NO_NETWORK] - median[NO_NAMESPACE],
    )


def creates(daemon, pairs):
    body = json.dumps({"image": IMAGE})
    ways = {
        OURS: (lambda: daemon.ask("POST", "/v1/containers", body), lambda made: delete(daemon, made)),
        THEIRS: (lambda: docker("run", "-d", "-P", IMAGE), lambda made: docker("rm", "-fv", made)),
    }
    taken = {name: [] for name in ways}
    for pair in range(pairs):
        # Each goes first in half of the pairs.
        for name, (act, clean) in sorted(ways.items(), reverse=pair % 2 == 1):
            took, made = timed(act)
            taken[name].append(took)
            clean(made)
    return taken


def delete(daemon, made):
    """The answer comes before the engine has let go of it, which would slow down whatever is measured next."""
    daemon.ask("DELETE", made["uri"])
    while docker("ps", "-aq", "--no-trunc", "--filter", f"id={made['container_id']}"):
        time.sleep(0.05)


def starts(daemon, rounds):
    """What of an engine's start can be saved: the same image, created beforehand, and only its start timed."""
    ways = {
        PUBLISHED: ["-P"],
        UNPUBLISHED: [],
        OWN_NETWORK: ["--network", f"spin-docker-{daemon.instance}"],
        NO_NETWORK: ["--network", "none"],
        NO_NAMESPACE: ["--network", "host"],
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
