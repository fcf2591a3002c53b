"""The other side: bench/peer behind gunicorn, with its Redis, and its celery worker where memory is measured."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from . import process

FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "peer")
READY_WITHIN = 30
FIELDS = {"status": "running", "active": "0", "image": "atbaker/sd-postgres"}


class Peer:
    """The stack with so many known containers; number 0 has the address that a load from this host has."""

    def __init__(self, known, workers, celery=False):
        self.known, self.workers, self.celery = known, workers, celery

    def __enter__(self):
        self.folder = tempfile.mkdtemp()
        self.socket = os.path.join(self.folder, "redis.sock")
        self.log = open(os.path.join(self.folder, "log"), "w+")
        self.processes = []
        self.begin_redis()
        self.fill()
        self.begin_gunicorn()
        if self.celery:
            self.begin("celery", "--app", "tasks", "worker", "--loglevel", "INFO")
            self.wait("celery", lambda: "ready." in self.read_log())
        return self

    def begin_redis(self):
        # Debian's redis-tools holds the server under another name, and installs no service.
        server = shutil.which("redis-check-rdb") or "redis-check-rdb"
        options = ["--port", "0", "--unixsocket", self.socket, "--dir", self.folder]
        self.processes.append(subprocess.Popen(["redis-server", *options], executable=server, stdout=self.log))
        self.wait("redis", lambda: os.path.exists(self.socket))

    def fill(self):
        lines = [f"SET ips:127.0.0.1 {container_id(0)}"]
        for number in range(self.known):
            name = container_id(number)
            fields = FIELDS | {
                "name": f"/name_{number + 1}", "container_id": name, "uri": f"/v1/containers/{name}",
                "ssh_port": 20000 + 2 * number, "app_port": 20001 + 2 * number,
            }
            lines.append(f"HSET containers:{name} " + " ".join(f"{key} {value}" for key, value in fields.items()))
        text = "\n".join(lines) + "\n"
        subprocess.run(["redis-cli", "-s", self.socket], input=text, text=True, check=True, stdout=subprocess.DEVNULL)

    def begin_gunicorn(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.begin("gunicorn", "--workers", str(self.workers), "--bind", f"127.0.0.1:{self.port}", "app:app")
        self.wait("gunicorn", lambda: self.read_log().count("Booting worker") == self.workers)

    def begin(self, *command):
        environment = os.environ | {"PEER_REDIS": self.socket}
        self.processes.append(
            subprocess.Popen(command, cwd=FOLDER, env=environment, stdout=self.log, stderr=self.log)
        )

    def wait(self, what, so):
        deadline = time.monotonic() + READY_WITHIN
        while not so():
            if time.monotonic() > deadline:
                sys.exit(f"{what} does not start:\n{self.read_log()}")
            time.sleep(0.05)

    def read_log(self):
        with open(self.log.name) as file:
            return file.read()

    @property
    def pids(self):
        return [one for begun in self.processes for one in process.tree(begun.pid)]

    def __exit__(self, *_):
        for begun in reversed(self.processes):
            begun.send_signal(signal.SIGTERM)
            begun.wait(READY_WITHIN)
        shutil.rmtree(self.folder)


def container_id(number):
    return f"{number + 1:064x}"
