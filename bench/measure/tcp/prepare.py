"""The namespace that is measured in."""

import contextlib
import resource
import subprocess


def prepare():
    """Loopback, and a congestion control that does not pace: BBR, where it is the host's default, paces even what stays on the
    host. A namespace may only choose what the host allows it, which is always reno."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with contextlib.suppress(OSError):
        set_kernel("net/ipv4/tcp_congestion_control", "reno")
        set_kernel("net/ipv4/tcp_congestion_control", "cubic")
    set_kernel("net/core/somaxconn", "4096")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def set_kernel(name, value):
    with open(f"/proc/sys/{name}", "w") as file:
        file.write(value)
