"""Load by wrk, on 127.0.0.1, bounded in time and connections."""

import os
import re
import subprocess
import sys

from . import process
from .ours import AUTHORIZATION

CONNECTIONS = 16
SCRIPT = os.path.join(os.path.dirname(__file__), "check_in.lua")


def wrk(url, seconds, pids, check_in=False):
    """Requests a second, and the CPU time that the serving side spent on each, in microseconds."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-H", f"Authorization: {AUTHORIZATION}"]
    command += ["-s", SCRIPT] if check_in else []
    before = process.cpu_seconds(pids)
    said = subprocess.run(command + [url], check=True, capture_output=True, text=True).stdout
    spent = process.cpu_seconds(pids) - before
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(f"{url} fails under load:\n{said}")
    requests = int(re.search(r"(\d+) requests in", said).group(1))
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1)), spent / requests * 1e6
