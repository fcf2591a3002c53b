"""A create over a newer engine than the machine's, in a process of its own: an engine's start is most of it, and newer ones start
containers otherwise."""

import dataclasses
import json
import os
import subprocess
import sys

from . import creates
from .plan import plan
from .report import Goal, Section, said


def measure(chosen):
    command = ["scripts/newer-engine", sys.executable, "-m", "measure.newer"]
    environment = {**os.environ, "IMAGES": creates.IMAGE}
    done = subprocess.run(command + ["--quick"] * chosen.quick, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    section = json.loads(done.stdout)
    return Section(section["title"], section["text"], [Goal(**goal) for goal in section["goals"]])


def main():
    section = creates.measure(plan(quick="--quick" in sys.argv))
    engine = "Docker " + said("docker", "version", "--format", "{{.Server.Version}}").split("+")[0]
    section.title = f"A create over {engine}"
    section.goals = [dataclasses.replace(goal, what=f"{goal.what}, over {engine}") for goal in section.goals]
    json.dump(dataclasses.asdict(section), sys.stdout)


if __name__ == "__main__":
    main()
