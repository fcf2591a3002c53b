"""What the kernel says of processes: CPU time and memory."""

import os
import time

TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid):
    """A process and all that descend from it."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        children = [int(child) for child in file.read().split()]
    return [pid] + [one for child in children for one in tree(child)]


def cpu_seconds(pids):
    """User and system time of whole processes so far, ended threads too."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def scheduled_seconds(pids):
    """Time on a CPU so far, to the nanosecond, of the threads that live now."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                total += int(file.read().split()[0])
    return total / 1e9


def memory(pids):
    """Bytes, each page shared out among those who map it (PSS)."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            total += next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total * 1024


def share_of_a_core(pids, seconds):
    """What these processes take of one core, over so many seconds."""
    before, begun = cpu_seconds(pids), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(pids) - before) / (time.monotonic() - begun)


def mib(size):
    return f"{size / 2**20:.1f} MiB"
