"""Programs that run while something is measured."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from .. import process

READY_WITHIN = 30
# Where scripts/tools unpacked them.
PROXIES = os.environ["PROXIES"]
NGINX = [f"{PROXIES}/usr/sbin/nginx", "-e", "stderr", "-c"]


class Program:
    """One that listens on a port once it is ready; its configuration, if it has one, is a file whose name ends the command."""

    def __init__(self, name, command, configuration, port, **options):
        self.name, self.command, self.configuration, self.port = name, command, configuration, port
        self.options = options

    def __enter__(self):
        self.folder = tempfile.mkdtemp()
        command = list(self.command)
        if self.configuration:
            path = os.path.join(self.folder, "configuration")
            with open(path, "w") as file:
                file.write(self.configuration.replace("FOLDER", self.folder))
            command.append(path)
        self.log = open(os.path.join(self.folder, "log"), "w+")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, **self.options)
        deadline = time.monotonic() + READY_WITHIN
        while not listens(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.log.seek(0)
                sys.exit(f"{self.name} does not listen on {self.port}:\n{self.log.read()}")
            time.sleep(0.05)
        return self

    @property
    def pids(self):
        return process.tree(self.process.pid)

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(READY_WITHIN)
        shutil.rmtree(self.folder)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
