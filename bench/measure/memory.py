"""Memory with 1,000 known containers, beside the stack of 2014, idle."""

import time

from .ours import Daemon, Stand, ask
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
        program = settled([daemon.process.pid])
    empty, full = with_known(plan, 0), with_known(plan, KNOWN)
    with Peer(KNOWN, WORKERS, celery=True) as peer:
        theirs = settled(peer.pids)
    # The real client costs what the program has more than the stand, where neither knows any.
    reckoned = full + program - empty
    rows = [
        ["the program over the real engine, none known", mib(program)],
        ["the stand, none known", mib(empty)],
        [f"the stand, {KNOWN:,} known", mib(full)],
        [f"reckoned of these: the program over the real engine, {KNOWN:,} known", mib(reckoned)],
        [f"gunicorn with {WORKERS} workers as above, celery as it comes, Redis; {KNOWN:,} known", mib(theirs)],
    ]
    goals = [
        Goal(f"memory, {KNOWN:,} known", "gunicorn, celery and Redis, idle", "≤ 1/8", f"1/{theirs / reckoned:.1f}", reckoned <= theirs * SHARE),
        Goal(f"memory, {KNOWN:,} known", "–", "≤ 24 MiB", mib(reckoned), reckoned <= LIMIT),
    ]
    return Section("Memory", EXPLAIN + "\n\n" + table(["what", "PSS"], rows), goals)


def with_known(plan, known):
    with Stand(plan, known, "--bind") as stand:
        ask(stand.hear("port")["port"], "GET", "/v1/containers")
        return settled(stand.pids)


def settled(pids):
    time.sleep(SETTLE_SECONDS)
    return memory(pids)


EXPLAIN = f"""A real engine on this machine does not run {KNOWN:,} containers; the stand has the engine in memory instead, whose own records
are in the figure, and the real gateway, which holds and listens on two ports for each container. All were listed once, and the text of each is kept. What the real engine's client costs is the first
row less the second, and is added: the goals are judged by that."""
