"""How much is measured: whole, or for a few seconds, to see that it works."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    quick: bool
    binaries: str
    report: str
    pairs: int
    rounds: int
    load_seconds: int
    connecting_seconds: int
    start_ups: int
    known_at_start_up: int
    known_idle: int
    idle_seconds: int
    event_seconds: int


def plan(quick):
    if quick:
        return Plan(True, "target/debug", "target/bench-quick.md", 1, 1, 1, 1, 1, 500, 2_000, 2, 2)
    return Plan(False, "target/release", "bench/REPORT.md", 20, 3, 4, 60, 5, 10_000, 100_000, 30, 10)
