"""How long it takes until everything known is served again."""

import statistics

from .ours import Stand
from .report import Goal, Section, table

LIMIT_MS = 1_000


def measure(plan):
    taken = []
    for _ in range(plan.start_ups):
        with Stand(plan, plan.known_at_start_up) as stand:
            taken.append(stand.hear("ready_ms")["ready_ms"])
    median = statistics.median(taken)
    what = f"start-up to ready, {plan.known_at_start_up:,} known"
    goal = Goal(what, "the engine in memory", "≤ 1 s", f"{median / 1e3:.2f} s", median <= LIMIT_MS)
    text = "From opening the store to the first request that would be answered: every container read, and compared with the engine.\n\n"
    text += table(["known", "median ms", "min", "max"], [[f"{plan.known_at_start_up:,}", f"{median:.0f}", f"{min(taken):.0f}", f"{max(taken):.0f}"]])
    return Section("Start-up", text, [goal])
