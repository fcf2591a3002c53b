"""`bench/run` calls this: every group in turn, then the report."""

import sys

from . import by_name, creates, events, forwarding, idle, memory, newer, report, requests, start_up, wakes
from .plan import plan

GROUPS = [creates, newer, requests, memory, start_up, idle, events, wakes, forwarding, by_name]


def main():
    chosen = plan(quick="--quick" in sys.argv)
    sections = []
    for number, group in enumerate(GROUPS, 1):
        name = group.__name__.split(".")[-1]
        print(f"{number}/{len(GROUPS)} {name} …", file=sys.stderr, flush=True)
        sections.append(group.measure(chosen))
    report.write(chosen, sections)


main()
