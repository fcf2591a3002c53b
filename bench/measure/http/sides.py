"""Who forwards: HTTP by name, in the stand, and its peers. Each keeps connections, to either side, and says who asks."""

import contextlib

from ..ours import Stand
from ..tcp.backends import HTTP_PORT
from ..tcp.programs import NGINX, PROXIES, Program
from ..tcp.sides import DIRECT, Side

OURS, HAPROXY, NGINX_PROXY = "by name", "HAProxy, mode http", "nginx proxy_pass"
# By the beginning of its id: number 0 of the stand's containers, whose address is this host's own.
HOST = "000000000000.localhost"
HAPROXY_CONFIGURATION = f"""
global
    no strict-limits
    maxconn 12000
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    http-reuse always
frontend pages
    bind 127.0.0.1:9011 backlog 4096
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(Host)]
    use_backend container if {{ hdr(host) -i {HOST} }}
backend container
    server container 127.0.0.1:{HTTP_PORT}
"""
NGINX_CONFIGURATION = f"""
daemon off; pid FOLDER/pid; worker_processes 1; worker_rlimit_nofile 65536;
events {{ worker_connections 30000; }}
http {{
    client_body_temp_path FOLDER/1; proxy_temp_path FOLDER/2; fastcgi_temp_path FOLDER/3; uwsgi_temp_path FOLDER/4; scgi_temp_path FOLDER/5;
    access_log off; keepalive_requests 1000000000;
    upstream container {{ server 127.0.0.1:{HTTP_PORT}; keepalive 64; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:9111 backlog=4096; server_name {HOST};
        location / {{
            proxy_pass http://container; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;
        }}
    }}
}}
"""


@contextlib.contextmanager
def ours(plan):
    with Stand(plan, 1, "--bind") as stand:
        yield Side(OURS, stand.hear("port")["port"], None, stand.pids)


@contextlib.contextmanager
def haproxy(_):
    with Program("haproxy", [f"{PROXIES}/usr/sbin/haproxy", "-db", "-f"], HAPROXY_CONFIGURATION, 9011) as program:
        yield Side(HAPROXY, 9011, None, program.pids)


@contextlib.contextmanager
def nginx(_):
    with Program("nginx", NGINX, NGINX_CONFIGURATION, 9111) as program:
        yield Side(NGINX_PROXY, 9111, None, program.pids)


@contextlib.contextmanager
def direct(_):
    yield Side(DIRECT, HTTP_PORT, None, [])


ALL = [ours, haproxy, nginx, direct]
