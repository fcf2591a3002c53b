"""Waking: how much longer a first byte takes from a container that sleeps, frozen or stopped, than from one that is awake."""

import http.client
import ipaddress
import json
import socket
import statistics
import struct
import time
from math import log10

from .ours import Daemon, docker
from .report import Goal, Section, table

IMAGE, POSTGRES = "spin-docker-test/httpd", "atbaker/sd-postgres"
ENGINE = "/var/run/docker.sock"
CONNECT, OPEN = "connect + first byte", "first query over an open connection to PostgreSQL"
PAUSED = "frozen, by the engine's pause"
STARTED = "connect + first byte, stopped"
BY_HAND, BY_API = "`docker start` + first byte", "start by the engine's API + first byte"
# What our containers have from the settings.
AS_OURS = "--cap-drop NET_RAW --cap-drop MKNOD --pids-limit 1024 --log-opt max-size=10m --log-opt max-file=3".split()
# After a stop, the engine tidies up for a while.
SETTLED = 0.5
RESTLESS = {"initial_timeout_interval": "1s", "timeout_interval": "1s", "freeze_after": "off"}


# Where containers' control groups cannot be written, the engine's pause freezes.
HIDES_GROUPS = 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"'


def measure(plan):
    wakes, starts = (5, 1) if plan.quick else (200, 40)
    with Daemon(plan) as daemon:
        taken = sleeping(daemon, wakes)
        taken.update(stopped(daemon, starts))
    with Daemon(plan, "unshare", "--mount", "sh", "-c", HIDES_GROUPS, "sh") as daemon:
        taken.update(paused(daemon, wakes))
    rows = [[*name, f"{statistics.median(ms):.2f}", f"{at(ms, 0.9):.2f}", f"{at(ms, 0.99):.2f}", len(ms)] for name, ms in taken.items()]
    text = """A page of busybox' httpd, or `SELECT 1` to PostgreSQL, through the gateway; milliseconds, alternating. By hand, a container of the same image,
with the same limits, at an address of the same network that is known beforehand, is started again after a stop, as ours is; its address is asked every millisecond. Sablier, which starts on request too, was not
built: it is written in Go, and neither it nor the modules that it needs are among Debian's packages. By its documentation its blocking strategy polls each 5 s.\n\n"""
    text += table(["what", "", "median", "p90", "p99", "times"], rows)
    if not plan.quick:
        with open("bench/wakes.svg", "w") as file:
            file.write(drawn(taken))
        text += "\n\n![How long a first byte takes: awake, frozen, stopped](wakes.svg)"
    return Section("Waking", text, goals(taken))


def goals(taken):
    def more(name, of):
        return of(taken[name, "frozen"]) - of(taken[name, "awake"])

    def ratio(side):
        return statistics.median(taken[STARTED, "ours"]) / statistics.median(taken[STARTED, side])

    late, by_api, by_hand = more(CONNECT, lambda ms: at(ms, 0.99)), ratio(BY_API), ratio(BY_HAND)
    medians = [
        Goal(f"{name}, frozen", "the same container awake", "≤ 0.5 ms more at the median", f"{more:.2f} ms", more <= 0.5)
        for name, more in ((name, more(name, statistics.median)) for name in (CONNECT, OPEN))
    ]
    return [
        *medians,
        Goal(f"{CONNECT}, frozen", "the same container awake", "≤ 2 ms more at p99", f"{late:.2f} ms", late <= 2),
        Goal(STARTED, BY_API, "≤ 1.02 × its time", f"{by_api:.2f} ×", by_api <= 1.02),
        Goal(STARTED, BY_HAND, "≤ 0.95 × its time", f"{by_hand:.2f} ×", by_hand <= 0.95),
    ]


def sleeping(daemon, wakes):
    """Awake and frozen in turn, over the same container."""
    server, database = (create(daemon, image, {"freeze_after": "off"}) for image in (IMAGE, POSTGRES))
    # Until the application accepts, a connection that waits for it keeps waking the container.
    page(connect(server))
    opened = session(connect(database))
    taken = {(name, depth): [] for name in (CONNECT, OPEN) for depth in ("awake", "frozen")}
    for _ in range(wakes):
        for name, made, act in ((CONNECT, server, lambda: page(connect(server))), (OPEN, database, lambda: query(opened))):
            for depth in ("awake", "frozen"):
                # Who hung up a moment ago may need it as it freezes: that comes first, and the freeze is refused.
                time.sleep(0.02)
                daemon.ask("PATCH", made["uri"], json.dumps({"depth": depth}))
                time.sleep(0.005)
                taken[name, depth].append(timed(act))
    return taken


def paused(daemon, wakes):
    """The same, where the engine freezes."""
    made = create(daemon, IMAGE, {"freeze_after": "off"})
    page(connect(made))
    taken = []
    for _ in range(wakes):
        time.sleep(0.02)
        daemon.ask("PATCH", made["uri"], json.dumps({"depth": "frozen"}))
        time.sleep(0.005)
        taken.append(timed(lambda: page(connect(made))))
    return {(CONNECT, PAUSED): taken}


def stopped(daemon, starts):
    """Stopped by its looks and woken by a connection; and by hand, until its own address answers. All have run before."""
    made = create(daemon, IMAGE, RESTLESS)
    network = f"spin-docker-{daemon.instance}"
    subnet = ipaddress.ip_network(docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", network))
    sides = {}
    for number, (side, start) in enumerate(((BY_HAND, lambda body: docker("start", body)), (BY_API, start_by_api)), 1):
        address = str(subnet.broadcast_address - number)
        body = docker("create", "--network", network, "--ip", address, *AS_OURS, IMAGE)
        sides[side] = (address, start, body)
        answered(*sides[side])
        docker("stop", body)
    taken = {(STARTED, side): [] for side in ("ours", *sides)}
    for _ in range(starts):
        until_stopped(daemon, made)
        time.sleep(SETTLED)
        taken[STARTED, "ours"].append(timed(lambda: page(connect(made))))
        for side, by_hand in sides.items():
            time.sleep(SETTLED)
            taken[STARTED, side].append(timed(lambda: answered(*by_hand)))
            docker("stop", by_hand[2])
    for _, _, body in sides.values():
        docker("rm", "-fv", body)
    return taken


def answered(address, start, body):
    start(body)
    while True:
        try:
            return page(socket.create_connection((address, 80), 1))
        except OSError:
            time.sleep(0.001)


class Engine(http.client.HTTPConnection):
    """The engine's API, over its socket."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(ENGINE)


def start_by_api(body):
    engine = Engine("engine")
    engine.request("POST", f"/containers/{body}/start")
    assert engine.getresponse().status == 204
    engine.close()


def until_stopped(daemon, made):
    while daemon.ask("GET", made["uri"])["status"] != "stopped":
        time.sleep(0.05)


def create(daemon, image, policy):
    return daemon.ask("POST", "/v1/containers", json.dumps({"image": image, "policy": policy}))


def connect(made):
    opened = socket.create_connection(("127.0.0.1", int(made["app_port"])), 30)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def page(connection):
    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert b" 200 " in connection.recv(100)
    connection.close()


def session(connection):
    """PostgreSQL's protocol, version 3, as a user who is trusted."""
    said = b"user\0postgres\0database\0postgres\0\0"
    connection.sendall(struct.pack("!II", len(said) + 8, 196_608) + said)
    until_ready(connection)
    return connection


def query(connection):
    said = b"SELECT 1\0"
    connection.sendall(b"Q" + struct.pack("!I", len(said) + 4) + said)
    until_ready(connection)


def until_ready(connection):
    kind = None
    while kind != b"Z":
        kind, length = struct.unpack("!cI", exactly(connection, 5))
        body = exactly(connection, length - 4)
        assert kind != b"E", body


def exactly(connection, count):
    return connection.recv(count, socket.MSG_WAITALL) if count else b""


def timed(act):
    begun = time.perf_counter()
    act()
    return (time.perf_counter() - begun) * 1000


def at(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def drawn(taken):
    """Each way's share of wakes that were over by then, on a logarithmic axis from 0.01 ms to 10 s."""
    colours = {"awake": "#2a9d8f", "frozen": "#457b9d", PAUSED: "#8ab0c8", "ours": "#e76f51", BY_HAND: "#999999", BY_API: "#555555"}
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
        label = {"ours": "stopped", PAUSED: "by pause", BY_HAND: "docker start", BY_API: "engine's API"}.get(how, how)
        parts.append(f'<text x="{left + number * 105}" y="{height - 12}" fill="{colours[how]}">{label}</text>')
    return "\n".join(parts + ["</svg>\n"])

