"""Engine events in quick succession: what following them costs, and whether any is missed."""

from .ours import Stand
from .process import share_of_a_core
from .report import Goal, Section, table

KNOWN = 1_000
RATE = 1_000
LIMIT = 0.05


def measure(plan):
    options = ["--events", str(RATE), "--seconds", str(plan.event_seconds)]
    with Stand(plan, KNOWN, *options) as stand:
        stand.hear("port")
        share = share_of_a_core(stand.pids, plan.event_seconds)
        heard = stand.hear("missed")
    goals = [
        Goal(f"{RATE:,} engine events a second", "the engine in memory", "≤ 5 % of a core", f"{share:.1%}", share <= LIMIT),
        Goal("of them missed", "the engine in memory", "none", str(heard["missed"]), heard["missed"] == 0),
    ]
    rows = [[f"{heard['events']:,}", f"{share:.1%}", heard["missed"]]]
    text = f"""Each renames one of {KNOWN:,} containers behind our back, and is missed unless that container shows the name before its next one, a
second later, or in the end. The engine in memory, what sends the events and what looks for the names are in the figure; what a real
engine's client costs to read an event is not.

""" + table(["events", "of a core", "missed"], rows)
    return Section("Events", text, goals)
