"""Our side: the program itself over the real engine, and the stand, which is the program over the engine in memory."""

import base64
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

AUTHORIZATION = "Basic " + base64.b64encode(b"admin:spindocker").decode()
READY_WITHIN = 30


def docker(*args):
    return subprocess.run(["docker", *args], check=True, capture_output=True, text=True).stdout.strip()


class Daemon:
    """spin-docker on a free port, over a folder of its own; `by`, where given, is the command that starts it."""

    def __init__(self, plan, *by):
        self.by = by
        self.instance = f"t-{os.getpid()}-bench"
        self.binary = os.path.join(plan.binaries, "spin-docker")

    def __enter__(self):
        self.folder = tempfile.mkdtemp()
        self.log = open(os.path.join(self.folder, "log"), "w+")
        command = [*self.by, self.binary, "serve", "--listen", "127.0.0.1:0", "--instance", self.instance]
        command += ["--data-dir", os.path.join(self.folder, "data"), "--environment", "production", *self.prepare()]
        self.process = subprocess.Popen(command, stderr=self.log)
        deadline = time.monotonic() + READY_WITHIN
        while "listening on http://" not in self.read_log():
            if time.monotonic() > deadline:
                sys.exit("the daemon does not listen:\n" + self.read_log())
            time.sleep(0.05)
        self.port = int(self.read_log().split("listening on http://127.0.0.1:")[1].split()[0])
        return self

    def prepare(self):
        """What its folder is to hold before it starts; with the options that it starts with, beside those of all."""
        return []

    def read_log(self):
        self.log.seek(0)
        return self.log.read()

    def __exit__(self, *_):
        for container in self.ask("GET", "/v1/containers"):
            self.ask("DELETE", container["uri"])
        label = f"label=spin-docker.instance={self.instance}"
        while docker("ps", "-aq", "--filter", label):
            time.sleep(0.1)
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(READY_WITHIN)
        docker("network", "rm", f"spin-docker-{self.instance}")
        shutil.rmtree(self.folder)

    def ask(self, method, path, body=None):
        return ask(self.port, method, path, body)


def ask(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": AUTHORIZATION}
    if body:
        headers["Content-Type"] = "application/json"
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    text = response.read()
    if response.status >= 400:
        sys.exit(f"{method} {path}: {response.status} {text.decode()}")
    return json.loads(text) if text else None


class Stand:
    """The stand with so many known containers. It says how far it is in lines of JSON."""

    def __init__(self, plan, known, *options):
        self.folder = tempfile.mkdtemp()
        binary = os.path.join(plan.binaries, "spin-docker-stand")
        self.command = [binary, "--data-dir", self.folder, "--known", str(known)]
        self.options = options
        subprocess.run(self.command + ["fill"], check=True)

    def __enter__(self):
        self.log = open(os.path.join(self.folder, "log"), "w+")
        self.process = subprocess.Popen(
            self.command + ["serve", *self.options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
        )
        self.hear("engine")
        return self

    def hear(self, key):
        """The next line, which holds this key."""
        line = self.process.stdout.readline()
        if not line or key not in json.loads(line):
            self.log.seek(0)
            sys.exit(f"the stand said {line!r} instead of {key}:\n{self.log.read()}")
        return json.loads(line)

    @property
    def pids(self):
        return [self.process.pid]

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(READY_WITHIN)
        shutil.rmtree(self.folder)
