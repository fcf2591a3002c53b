"""The report: what was promised and what came of it, then each group's own tables."""

import os
import platform
import statistics
import subprocess
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Goal:
    what: str
    against: str
    goal: str
    measured: str
    met: bool


@dataclass
class Section:
    title: str
    text: str
    goals: list = field(default_factory=list)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join(["---"] * len(head)) + " |"]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def times(values, against):
    """Milliseconds of each way, and their ratio to one of them."""
    base = statistics.median(values[against])
    rows = []
    for name, some in values.items():
        median = statistics.median(some)
        rows.append([name, f"{median:.0f}", f"{min(some):.0f}", f"{max(some):.0f}", f"{median / base:.2f}"])
    return table(["what", "median ms", "min", "max", "ratio"], rows)


def write(plan, sections):
    goals = [goal for section in sections for goal in section.goals]
    judged = lambda goal: "not judged" if plan.quick else "met" if goal.met else "**missed**"
    rows = [[goal.what, goal.against, goal.goal, goal.measured, judged(goal)] for goal in goals]
    parts = [
        "# Measured",
        "By `make bench`, in one run, alternating. Ratios count: absolute figures are of a shared, noisy machine.",
        f"Machine: {machine()}. Commit {commit()}.",
        table(["what", "against", "goal", "measured", ""], rows),
    ]
    for section in sections:
        parts += [f"## {section.title}", section.text]
    text = "\n\n".join(parts) + "\n"
    with open(plan.report, "w") as file:
        file.write(text)
    print(text)


def machine():
    with open("/proc/cpuinfo") as file:
        models = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    engine = said("docker", "version", "--format", "{{.Server.Version}}")
    return f"{os.cpu_count()} cores ({models[0] if models else platform.machine()}), Linux {platform.release()}, Docker {engine}"


def commit():
    written_here = [":!bench/REPORT.md", ":!bench/wakes.svg"]
    changed = " with changes" if said("git", "status", "--porcelain", "--untracked-files=no", ".", *written_here) else ""
    return said("git", "rev-parse", "--short", "HEAD") + changed


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
