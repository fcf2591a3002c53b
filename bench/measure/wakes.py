"""Waking: how much longer a first byte takes from a container that sleeps, frozen or stopped, than from one that is awake."""

import json
import socket
import statistics
import time
from math import log10

from .ours import Daemon, docker
from .report import Goal, Section, table

IMAGE = "spin-docker-test/product"
CONNECT, OPEN = "connect + first byte", "first byte over an open connection"
STARTED = "connect + first byte, stopped"
BY_HAND = "`docker start` + first byte"
RESTLESS = {"initial_timeout_interval": "1s", "timeout_interval": "1s", "freeze_after": "off"}


def measure(plan):
    wakes, starts = (5, 1) if plan.quick else (200, 10)
    with Daemon(plan) as daemon:
        taken = sleeping(daemon, wakes)
        taken.update(stopped(daemon, starts))
    more = {name: statistics.median(taken[name, "frozen"]) - statistics.median(taken[name, "awake"]) for name in (CONNECT, OPEN)}
    late = at(taken[CONNECT, "frozen"], 0.99) - at(taken[CONNECT, "awake"], 0.99)
    ratio = statistics.median(taken[STARTED, "ours"]) / statistics.median(taken[STARTED, BY_HAND])
    goals = [
        Goal(f"{CONNECT}, frozen", "the same container awake", "≤ 0.5 ms more at the median", f"{more[CONNECT]:.2f} ms", more[CONNECT] <= 0.5),
        Goal(f"{CONNECT}, frozen", "the same container awake", "≤ 2 ms more at p99", f"{late:.2f} ms", late <= 2),
        Goal(f"{OPEN}, frozen", "the same container awake", "≤ 0.5 ms more at the median", f"{more[OPEN]:.2f} ms", more[OPEN] <= 0.5),
        Goal(STARTED, BY_HAND, "≤ 0.95 × its time", f"{ratio:.2f}", ratio <= 0.95),
    ]
    rows = [[*name, f"{at(ms, 0.5):.2f}", f"{at(ms, 0.9):.2f}", f"{at(ms, 0.99):.2f}", len(ms)] for name, ms in taken.items()]
    text = "A line to a small server and its answer, through the gateway; milliseconds, alternating.\n\n"
    text += table(["what", "", "median", "p90", "p99", "times"], rows)
    if not plan.quick:
        with open("bench/wakes.svg", "w") as file:
            file.write(drawn(taken))
        text += "\n\n![How long a first byte takes: awake, frozen, stopped](wakes.svg)"
    return Section("Waking", text, goals)


def sleeping(daemon, wakes):
    """Awake and frozen in turn, over the same container."""
    made = create(daemon, {"freeze_after": "off"})
    taken = {(name, depth): [] for name in (CONNECT, OPEN) for depth in ("awake", "frozen")}
    opened = connect(made)
    # Until the application accepts, a connection that waits for it keeps waking the container.
    line(opened)
    for _ in range(wakes):
        for name, act in ((CONNECT, lambda: line(connect(made))), (OPEN, lambda: line(opened))):
            for depth in ("awake", "frozen"):
                daemon.ask("PATCH", made["uri"], json.dumps({"depth": depth}))
                time.sleep(0.005)
                taken[name, depth].append(timed(act))
    return taken


def stopped(daemon, starts):
    """Stopped by its looks and woken by a connection; and the same body, by hand, until its own address answers."""
    made = create(daemon, RESTLESS)
    taken = {(STARTED, "ours"): [], (STARTED, BY_HAND): []}
    for _ in range(starts):
        until_stopped(daemon, made)
        taken[STARTED, "ours"].append(timed(lambda: line(connect(made))))
        by_hand = docker("create", "--network", f"spin-docker-{daemon.instance}", IMAGE)
        taken[STARTED, BY_HAND].append(timed(lambda: start_by_hand(by_hand, 8000)))
        docker("rm", "-fv", by_hand)
    return taken


def start_by_hand(container, port):
    docker("start", container)
    address = docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container)
    while True:
        try:
            return line(socket.create_connection((address, port), 1))
        except OSError:
            time.sleep(0.001)


def until_stopped(daemon, made):
    while daemon.ask("GET", made["uri"])["status"] != "stopped":
        time.sleep(0.05)


def create(daemon, policy):
    return daemon.ask("POST", "/v1/containers", json.dumps({"image": IMAGE, "policy": policy}))


def connect(made):
    opened = socket.create_connection(("127.0.0.1", int(made["app_port"])), 30)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def line(connection):
    connection.sendall(b"hello\n")
    assert connection.recv(100)


def timed(act):
    begun = time.perf_counter()
    act()
    return (time.perf_counter() - begun) * 1000


def at(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def drawn(taken):
    """Each way's share of wakes that were over by then, on a logarithmic axis from 0.01 ms to 10 s."""
    colours = {"awake": "#2a9d8f", "frozen": "#457b9d", "ours": "#e76f51", BY_HAND: "#999999"}
    width, height, left, decades = 640, 320, 50, 6
    across = lambda ms: left + (width - left - 20) * max(0.0, min(1.0, (log10(ms) + 2) / decades))
    up = lambda share: 20 + (height - 70) * (1 - share)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">']
    parts.append(f'<rect width="{width}" height="{height}" fill="white"/>')
    for power in range(-2, 5):
        x = across(10.0**power)
        parts.append(f'<path d="M{x:.0f} 20V{height - 50}" stroke="#ddd"/><text x="{x:.0f}" y="{height - 35}" text-anchor="middle">{10.0**power:g} ms</text>')
    shown = [(name, values) for name, values in taken.items() if name[0] != OPEN]
    for number, ((what, how), values) in enumerate(shown):
        ordered = sorted(values)
        points = " ".join(f"{across(ms):.1f},{up((index + 1) / len(ordered)):.1f}" for index, ms in enumerate(ordered))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colours[how]}" stroke-width="2"/>')
        label = {"ours": "stopped", BY_HAND: "docker start"}.get(how, how)
        parts.append(f'<text x="{left + number * 130}" y="{height - 12}" fill="{colours[how]}">{label}</text>')
    return "\n".join(parts + ["</svg>\n"])

