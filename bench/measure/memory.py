"""Memory with 1,000 known containers, beside the stack of 2014, idle."""

import time

from .crowd import Crowd
from .ours import Daemon
from .peer import Peer
from .process import memory, mib
from .report import Goal, Section, table
from .requests import WORKERS

KNOWN = 1_000
SETTLE_SECONDS = 3
LIMIT = 24 * 2**20
SHARE = 1 / 8


def measure(plan):
    with Daemon(plan) as daemon:
        empty = settled([daemon.process.pid])
    with Crowd(plan, KNOWN) as crowd:
        assert len(crowd.ask("GET", "/v1/containers")) == KNOWN
        full = settled([crowd.process.pid])
    with Peer(KNOWN, WORKERS, celery=True) as peer:
        theirs = settled(peer.pids)
    rows = [
        ["the program, none known", mib(empty)],
        [f"the program, {KNOWN:,} known", mib(full)],
        [f"gunicorn with {WORKERS} workers as above, celery as it comes, Redis; {KNOWN:,} known", mib(theirs)],
    ]
    goals = [
        Goal(f"memory, {KNOWN:,} known", "gunicorn, celery and Redis, idle", "≤ 1/8", f"1/{theirs / full:.1f}", full <= theirs * SHARE),
        Goal(f"memory, {KNOWN:,} known", "–", "≤ 24 MiB", mib(full), full <= LIMIT),
    ]
    return Section("Memory", EXPLAIN + "\n\n" + table(["what", "PSS"], rows), goals)


def settled(pids):
    time.sleep(SETTLE_SECONDS)
    return memory(pids)


EXPLAIN = f"""The program itself over the real engine. A real engine on this machine does not run {KNOWN:,} containers: its list of them, as long as a real one, is
made up on the way, and everything else is its own. All of them are running, under `freeze_after=off`, since there is nothing that could be frozen; they listen on two
ports each, and were listed once, so that the text of each is kept."""
