"""Very many containers that nobody uses: what watching them costs."""

import time

from .ours import Stand
from .process import memory, share_of_a_core
from .report import Goal, Section, table

CPU_LIMIT = 0.01
MEMORY_LIMIT = 4096
SETTLE_SECONDS = 5


def measure(plan):
    known = plan.known_idle
    with Stand(plan, known) as stand:
        before = memory(stand.pids)
        stand.hear("port")
        time.sleep(SETTLE_SECONDS)
        share = share_of_a_core(stand.pids, plan.idle_seconds)
        each = (memory(stand.pids) - before) / known
    goals = [
        Goal(f"idle looks for {known:,}", "the engine in memory", "≤ 1 % of a core", f"{share:.2%}", share <= CPU_LIMIT),
        Goal(f"memory of each of {known:,}", "the engine in memory", "≤ 4 KiB", f"{each / 1024:.2f} KiB", each <= MEMORY_LIMIT),
    ]
    rows = [[f"{known:,}", f"{known / 1800:.0f}", f"{share:.2%}", f"{each:,.0f} bytes"]]
    text = f"""All of them running, the next look of each within half an hour, as by default; measured over {plan.idle_seconds} s. The memory is what was added from
the engine in memory alone to serving; no host port is bound, since a host has not so many.

""" + table(["known", "looks a second", "of a core", "memory each"], rows)
    return Section("Idle", text, goals)
