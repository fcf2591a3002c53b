"""Sends each WebSocket message back, and pings its clients every PING_INTERVAL seconds, as Jupyter's server does; without a pong
for PING_TIMEOUT it hangs up."""

import os

from tornado.ioloop import IOLoop
from tornado.web import Application
from tornado.websocket import WebSocketHandler


class Echo(WebSocketHandler):
    def on_message(self, message):
        self.write_message(message)


def seconds(name):
    return float(os.environ.get(name, "0"))


Application(
    [("/", Echo)],
    websocket_ping_interval=seconds("PING_INTERVAL"),
    websocket_ping_timeout=seconds("PING_TIMEOUT") or None,
).listen(8000)
IOLoop.current().start()
