"""The TCP gateway beside other proxies: small requests, new connections, bulk, the first byte, and idle connections."""

import json
import os
import statistics
import subprocess
import sys

from .report import Goal, Section, table
from .tcp.loads import CONNECTIONS, IDLE, TRIES
from .tcp.sides import DIRECT, DOCKER, HAPROXY, NGINX_STREAM, OURS

SIDES = [OURS, HAPROXY, NGINX_STREAM, DOCKER, DIRECT]


def measure(plan):
    seen = Seen(alone(plan, "measure.tcp"))
    return Section("TCP through the gateway", explain(plan) + "\n\n" + tables(seen), goals(seen))


def alone(plan, module):
    """In a network namespace of its own; whoever is not root is root there."""
    apart = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    command = [*apart, sys.executable, "-m", module] + (["--quick"] if plan.quick else [])
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


class Seen:
    """Medians over the rounds, and their ratios between two sides."""

    def __init__(self, figures):
        self.figures = figures

    def median(self, load, side, what):
        values = [measured[what] for measured in self.figures[load].get(side, []) if what in measured]
        return statistics.median(values) if values else None

    def ratio(self, load, what, to=HAPROXY):
        return self.median(load, OURS, what) / self.median(load, to, what)


def goals(seen):
    def at_least(what, load, figure, limit, to=HAPROXY):
        ratio = seen.ratio(load, figure, to)
        return Goal(what, to, f"≥ {limit} ×", f"{ratio:.2f} ×", ratio >= limit)

    def at_most(what, load, figure, limit, to=HAPROXY):
        ratio = seen.ratio(load, figure, to)
        return Goal(what, to, f"≤ {limit} ×", f"{ratio:.2f} ×", ratio <= limit)

    better = max([HAPROXY, NGINX_STREAM], key=lambda side: seen.median("small", side, "requests_per_second"))
    added = seen.median("first", OURS, "median_us") - seen.median("first", DIRECT, "median_us")
    idle, each, fds = (seen.median("idle", OURS, what) for what in ["connections", "kib_each", "descriptors_each"])
    requests, connections = f"requests over {CONNECTIONS} TCP connections", "new TCP connections"
    return [
        at_least(f"{requests}, a second", "small", "requests_per_second", 1, better),
        at_most(f"{requests}, p99", "small", "p99_ms", 1, better),
        at_most(f"{requests}, CPU of each", "small", "cpu_us_per_request", 0.95),
        at_most(f"{requests}, CPU of each, then", "small", "cpu_us_per_request", 0.8),
        at_least(f"{connections} a second", "new", "connections_per_second", 1.1),
        at_most(f"{connections}, CPU of each", "new", "cpu_us_per_connection", 0.9),
        at_least("bulk, 1 stream", "bulk1", "gbit_per_second", 2),
        at_least("bulk, 1 stream", "bulk1", "gbit_per_second", 1.1, DOCKER),
        at_least("bulk, 16 streams", "bulk16", "gbit_per_second", 2),
        at_least("bulk, 16 streams", "bulk16", "gbit_per_second", 1.1, DOCKER),
        at_most("bulk, 1 stream, CPU per GB", "bulk1", "cpu_s_per_gb", 0.25),
        at_most("bulk, 16 streams, CPU per GB", "bulk16", "cpu_s_per_gb", 0.25),
        at_most("connect + first byte through the proxy alone", "first", "median_us", 1),
        Goal("connect + first byte through the proxy alone", DIRECT, "adds ≤ 100 µs", f"{added:.0f} µs", added <= 100),
        at_most(f"memory of each of {idle:,.0f} idle TCP connections", "idle", "kib_each", 0.5),
        Goal(f"each of {idle:,.0f} idle TCP connections", "–", "≤ 1.5 KiB", f"{each:.2f} KiB", each <= 1.5),
        Goal(f"each of {idle:,.0f} idle TCP connections", "–", "2 descriptors", f"{fds:.2f}", fds <= 2.01),
    ]


def tables(seen):
    parts = [
        ("small", ["requests_per_second", "p99_ms", "cpu_us_per_request"], ["requests/s", "p99 ms", "CPU µs each"]),
        ("new", ["connections_per_second", "cpu_us_per_connection"], ["new connections/s", "CPU µs each"]),
        ("bulk1", ["gbit_per_second", "cpu_s_per_gb"], ["1 stream, Gbit/s", "CPU s/GB"]),
        ("bulk16", ["gbit_per_second", "cpu_s_per_gb"], ["16 streams, Gbit/s", "CPU s/GB"]),
        ("first", ["median_us", "p99_us"], ["first byte, median µs", "p99 µs"]),
        ("idle", ["connections", "kib_each", "descriptors_each"], ["idle connections", "KiB each", "descriptors"]),
    ]
    return "\n\n".join(part(seen, *one) for one in parts)


def part(seen, load, figures, heads):
    rows = []
    for side in SIDES:
        cells = [cell(seen, load, side, figure) for figure in figures]
        if any(text for text, _ in cells):
            rows.append([side] + [text for pair in cells for text in pair])
    return table(["through"] + [text for head in heads for text in (head, "×")], rows)


def cell(seen, load, side, figure):
    """The figure, and how many times HAProxy's it is; nothing where no proxy has none."""
    value, base = seen.median(load, side, figure), seen.median(load, HAPROXY, figure)
    if not value:
        return "", ""
    digits = max(0, 2 - len(str(int(value)))) if value >= 1 else 3
    return f"{value:,.{digits}f}", f"{value / base:.2f}"


def explain(plan):
    return f"""In a network namespace of its own, {plan.rounds} rounds, alternating; load, proxy and backend share the machine's cores. × is against HAProxy in TCP mode
with `splice-auto` and one thread, as nginx has one worker; the gateway has a thread a core, docker-proxy what Go takes. The gateway is the stand's: the real
gateway and control over the engine in memory, with the counters and the gate that wakes a container in the path. Requests are wrk's, of 100 bytes, over {CONNECTIONS} connections
that stay or, for new connections, with `Connection: close`, for {plan.connecting_seconds} s a round; the backend is nginx. CPU is what the kernel scheduled to the
proxy's threads: beside other load the firmest figure. First bytes are of {TRIES:,} connections one after the other, memory is what idle connections, {IDLE:,} or as many as descriptors allow, add to the proxy's PSS."""
