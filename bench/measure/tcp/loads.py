"""What each side is put under, and what comes of it: figures by name."""

import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import time

from .. import process
from . import backends

CONNECTIONS = 32
TRIES = 1000
IDLE = 10_000
SPARE_DESCRIPTORS = 500
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"


def small(side, seconds, *options):
    """Small requests over connections that stay."""
    rate, p99, requests, spent = wrk(side, seconds, *options)
    return {"requests_per_second": rate, "p99_ms": p99, "cpu_us_per_request": spent / requests * 1e6}


def new(side, seconds):
    """A connection for each request."""
    rate, _, requests, spent = wrk(side, seconds, "-H", "Connection: close")
    return {"connections_per_second": rate, "cpu_us_per_connection": spent / requests * 1e6}


def wrk(side, seconds, *options):
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", *options]
    before = process.scheduled_seconds(side.pids)
    said = subprocess.run(
        command + [f"http://127.0.0.1:{side.http}/"], check=True, capture_output=True, text=True
    ).stdout
    spent = process.scheduled_seconds(side.pids) - before
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(f"{side.name} fails under load:\n{said}")
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", said).groups()
    requests = int(re.search(r"(\d+) requests in", said).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1))
    return rate, float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit], requests, spent


def bulk(streams):
    def measure(side, seconds):
        moved = backends.pull(side.streams, streams, seconds)
        next(moved)
        before, begun = process.scheduled_seconds(side.pids), time.monotonic()
        size = next(moved)
        took, spent = time.monotonic() - begun, process.scheduled_seconds(side.pids) - before
        next(moved, None)
        return {"gbit_per_second": size * 8 / took / 1e9, "cpu_s_per_gb": spent / (size / 1e9)}

    return measure


def first_byte(side, _):
    """From connecting to the first byte of the answer, one after the other."""
    taken = []
    for _ in range(TRIES):
        begun = time.perf_counter()
        with socket.create_connection(("127.0.0.1", side.http)) as stream:
            stream.sendall(REQUEST)
            stream.recv(1)
            taken.append(time.perf_counter() - begun)
            while stream.recv(4096):
                pass
    return {"median_us": statistics.median(taken) * 1e6, "p99_us": statistics.quantiles(taken, n=100)[98] * 1e6}


def idle(side, _):
    """Connections on which nothing ever moves. What the kernel holds for them is not in the figures."""
    if not side.pids:
        return {}
    count = min(IDLE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - SPARE_DESCRIPTORS) // side.descriptors)
    before = process.memory(side.pids), descriptors(side.pids)
    streams = [socket.create_connection(("127.0.0.1", side.streams)) for _ in range(count)]
    wait_until_connected(side)
    after = process.memory(side.pids), descriptors(side.pids)
    for stream in streams:
        stream.close()
    kib, fds = (after[0] - before[0]) / 1024 / count, (after[1] - before[1]) / count
    return {"connections": count, "kib_each": kib, "descriptors_each": fds}


def wait_until_connected(side):
    """Until the backend has them all, and the proxies have come to rest."""
    seen = -1
    while seen != (seen := descriptors(side.pids)):
        time.sleep(1)


def descriptors(pids):
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)
