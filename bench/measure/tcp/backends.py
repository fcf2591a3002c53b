"""What stands behind each proxy: an nginx that answers small requests, and a process of ours that sends, or waits."""

import selectors
import socket
import sys
import threading

from .programs import NGINX, Program

HTTP_PORT, STREAM_PORT = 5432, 22
BLOCK = 256 * 1024
CONFIGURATION = f"""
daemon off; pid FOLDER/pid; worker_processes 1; worker_rlimit_nofile 65536;
events {{ worker_connections 30000; }}
http {{
    client_body_temp_path FOLDER/1; proxy_temp_path FOLDER/2; fastcgi_temp_path FOLDER/3; uwsgi_temp_path FOLDER/4; scgi_temp_path FOLDER/5;
    access_log off; keepalive_requests 1000000000;
    server {{ listen 127.0.0.1:{HTTP_PORT} backlog=4096; default_type text/plain; location / {{ return 200 "{'x' * 100}"; }} }}
}}
"""


def http():
    return Program("nginx", NGINX, CONFIGURATION, HTTP_PORT)


def streams():
    return Program("streams", [sys.executable, "-m", "measure.tcp.backends"], None, STREAM_PORT)


def pull(port, count, seconds):
    """Bytes that so many connections receive within so many seconds."""
    received, ended = [0] * count, threading.Event()

    def receive(number):
        buffer = bytearray(BLOCK)
        with socket.create_connection(("127.0.0.1", port)) as stream:
            stream.sendall(b"!")
            while not ended.is_set():
                received[number] += stream.recv_into(buffer)

    threads = [threading.Thread(target=receive, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    ended.wait(0.3)
    before = sum(received)
    yield
    ended.wait(seconds)
    yield sum(received) - before
    ended.set()
    for thread in threads:
        thread.join()


def serve():
    """Whoever sends a byte is sent bytes until they go; whoever sends none waits."""
    listener = socket.create_server(("127.0.0.1", STREAM_PORT), backlog=4096)
    selector = selectors.DefaultSelector()
    selector.register(listener, 1)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                stream, _ = listener.accept()
                selector.register(stream, 1)
            else:
                selector.unregister(key.fileobj)
                threading.Thread(target=send, args=(key.fileobj,), daemon=True).start()


def send(stream):
    block = bytes(BLOCK)
    with stream:
        try:
            while stream.recv(1):
                while True:
                    stream.sendall(block)
        except OSError:
            return


if __name__ == "__main__":
    serve()
