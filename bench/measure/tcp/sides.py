"""Who forwards: the gateway, in the stand, and its peers. Each forwards two ports, to the HTTP backend and to the streams."""

import contextlib

from ..ours import Stand
from .backends import HTTP_PORT, STREAM_PORT
from .programs import NGINX, PROXIES, Program

OURS, HAPROXY, NGINX_STREAM, DOCKER, DIRECT = "gateway", "HAProxy", "nginx stream", "docker-proxy", "no proxy"
HAPROXY_CONFIGURATION = f"""
global
    no strict-limits
    maxconn 12000
    nbthread 1
defaults
    mode tcp
    option splice-auto
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen http
    bind 127.0.0.1:9001 backlog 4096
    server backend 127.0.0.1:{HTTP_PORT}
listen streams
    bind 127.0.0.1:9002 backlog 4096
    server backend 127.0.0.1:{STREAM_PORT}
"""
NGINX_CONFIGURATION = f"""
load_module {PROXIES}/usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; pid FOLDER/pid; worker_processes 1; worker_rlimit_nofile 65536;
events {{ worker_connections 30000; }}
stream {{
    proxy_timeout 1h; tcp_nodelay on;
    server {{ listen 127.0.0.1:9101 backlog=4096; proxy_pass 127.0.0.1:{HTTP_PORT}; }}
    server {{ listen 127.0.0.1:9102 backlog=4096; proxy_pass 127.0.0.1:{STREAM_PORT}; }}
}}
"""


class Side:
    """A proxy that runs, or none."""

    def __init__(self, name, http, streams, pids, descriptors=2):
        self.name, self.http, self.streams, self.pids = name, http, streams, pids
        # So many for each connection: beyond what a process may have, docker-proxy ends for good.
        self.descriptors = descriptors


@contextlib.contextmanager
def ours(plan):
    """Number 0 of the stand's containers has this host's own address, and its ports 22 and 5432 are forwarded to."""
    with Stand(plan, 1, "--bind") as stand:
        stand.hear("port")
        yield Side(OURS, 20001, 20000, stand.pids)


@contextlib.contextmanager
def haproxy(_):
    with Program("haproxy", [f"{PROXIES}/usr/sbin/haproxy", "-db", "-f"], HAPROXY_CONFIGURATION, 9001) as program:
        yield Side(HAPROXY, 9001, 9002, program.pids)


@contextlib.contextmanager
def nginx(_):
    with Program("nginx", NGINX, NGINX_CONFIGURATION, 9101) as program:
        yield Side(NGINX_STREAM, 9101, 9102, program.pids)


@contextlib.contextmanager
def docker_proxy(_):
    """The engine starts one for each published port. It says on descriptor 3 that it is ready."""
    with contextlib.ExitStack() as stack:
        begun = [
            stack.enter_context(Program("docker-proxy", command(host, to), None, host))
            for host, to in [(9201, HTTP_PORT), (9202, STREAM_PORT)]
        ]
        yield Side(DOCKER, 9201, 9202, [pid for program in begun for pid in program.pids], descriptors=6)


def command(host, to):
    run = 'exec docker-proxy -proto tcp -host-ip 127.0.0.1 -host-port "$0" -container-ip 127.0.0.1 -container-port "$1" 3>&1'
    return ["sh", "-c", run, str(host), str(to)]


@contextlib.contextmanager
def direct(_):
    yield Side(DIRECT, HTTP_PORT, STREAM_PORT, [])


# Under the longest load.
COMPARED = [OURS, HAPROXY, NGINX_STREAM]
ALL = [ours, haproxy, nginx, docker_proxy, direct]
