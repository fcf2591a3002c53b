"""Requests a second, and the CPU time of each, beside the stack of 2014: 100 known containers on either side."""

import json
import os
import socket
import statistics

from .load import CONNECTIONS, wrk
from .ours import Stand, ask
from .peer import Peer, container_id
from .report import Goal, Section, table
from .tcp.programs import NGINX, Program

KNOWN = 100
WORKERS = os.cpu_count() + 1
ONE = f"/v1/containers/{container_id(7)}"
CONSTANT = """
daemon off; pid FOLDER/pid; worker_processes auto;
events { worker_connections 1000; }
http {
    client_body_temp_path FOLDER/1; proxy_temp_path FOLDER/2; fastcgi_temp_path FOLDER/3; uwsgi_temp_path FOLDER/4; scgi_temp_path FOLDER/5;
    access_log off; keepalive_requests 1000000000; default_type application/json;
    server { listen 127.0.0.1:PORT; location / { return 200 "ANSWER"; } }
}
"""
ROWS = [
    ("`GET /v1/containers`, 100 known", "/v1/containers", False, 100),
    ("`GET` of one", ONE, False, 50),
    ("`POST` of a check-in", "/v1/check-in", True, 50),
]


def measure(plan):
    rows, goals = [], []
    with Stand(plan, KNOWN) as ours, Peer(KNOWN, WORKERS) as theirs:
        ours.port = ours.hear("port")["port"]
        for what, path, check_in, goal in ROWS:
            figures = alternate(plan, (ours, theirs), path, check_in)
            (our_rate, our_cpu), (their_rate, their_cpu) = (medians(figures[side]) for side in (ours, theirs))
            ratio = our_rate / their_rate
            rows.append([what, f"{our_rate:,.0f}", f"{their_rate:,.0f}", f"{ratio:.0f}", f"{our_cpu:.1f}", f"{their_cpu:,.0f}", f"{their_cpu / our_cpu:.0f}"])
            if path == ONE:
                most = constant(plan, len(json.dumps(ask(ours.port, "GET", path))))
                bound = f"nginx, which answers about as many bytes and does nothing for them, came to {most:,.0f} requests/s under the same load: {most / their_rate:.0f} × theirs."
            goals.append(Goal(what, "Flask-RESTful, Redis, gunicorn", f"≥ {goal} × requests/s", f"{ratio:.0f} ×", ratio >= goal))
    head = ["what", "ours, requests/s", "theirs", "ratio", "ours, µs of CPU each", "theirs", "ratio"]
    return Section("Requests", explain(plan) + "\n\n" + table(head, rows) + "\n\n" + bound, goals)


def constant(plan, size):
    """What the load itself, and the kernel, leave room for."""
    port = free_port()
    configuration = CONSTANT.replace("PORT", str(port)).replace("ANSWER", "x" * size)
    with Program("nginx", NGINX, configuration, port) as nginx:
        url = f"http://127.0.0.1:{port}/"
        return statistics.median(wrk(url, plan.load_seconds, nginx.pids)[0] for _ in range(plan.rounds))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def alternate(plan, sides, path, check_in):
    figures = {side: [] for side in sides}
    for _ in range(plan.rounds):
        for side in sides:
            url = f"http://127.0.0.1:{side.port}{path}"
            figures[side].append(wrk(url, plan.load_seconds, side.pids, check_in))
    return figures


def medians(figures):
    return [statistics.median(column) for column in zip(*figures)]


def explain(plan):
    return f"""wrk with {CONNECTIONS} connections and one thread, {plan.rounds} rounds of {plan.load_seconds} s, alternating; load and server share the machine's cores, which
costs the quicker side more. Ours is the stand (`bench/stand`): the real server, control and store over the engine in memory, one process, logging
at `warn`: a line for each request is left out, as gunicorn leaves it out. Theirs is `bench/peer`, doing the work of the 2014 program, behind gunicorn with {WORKERS} sync workers, which close each connection;
its CPU time is that of gunicorn and Redis together. Their containers have eight fields, ours eighteen. Check-ins come to the API's port, as
from number 0, whose address is 127.0.0.1, and say the same each time: ours records that once in 10 s, theirs writes it each time."""
