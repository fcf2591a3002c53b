"""The program itself with very many known containers: the real engine behind it, but for its list of containers, which is made up."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import threading

from .ours import READY_WITHIN, Daemon, docker

ENGINE = "/var/run/docker.sock"
# As `spin-docker-stand fill` names what it writes.
INSTANCE, OWNER = "stand", "0123456789abcdef" * 2


class Crowd(Daemon):
    """A daemon that knows so many containers, all of them running as far as it is told."""

    def __init__(self, plan, known):
        super().__init__(plan)
        self.instance, self.known = INSTANCE, known
        self.stand = os.path.join(plan.binaries, "spin-docker-stand")

    def prepare(self):
        data = os.path.join(self.folder, "data")
        os.mkdir(data)
        subprocess.run([self.stand, "--data-dir", data, "--known", str(self.known), "fill"], check=True)
        self.engine = Engine(os.path.join(self.folder, "engine.sock"), [listed(number) for number in range(self.known)])
        # What is made up has no process that could be looked at, or frozen.
        return ["--engine-host", self.engine.host, "--freeze-after", "off"]

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(READY_WITHIN)
        self.engine.close()
        docker("network", "rm", f"spin-docker-{self.instance}")
        shutil.rmtree(self.folder)


class Engine:
    """Passes requests on, each over a connection of its own, and answers the one for the list itself."""

    def __init__(self, path, containers):
        self.host, self.containers = f"unix://{path}", json.dumps(containers).encode()
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(asyncio.start_unix_server(self.serve, path))
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    async def serve(self, reader, writer):
        try:
            await self.answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        writer.close()

    async def answer(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/containers/json" in head.split(b"\r\n")[0]:
            size = len(self.containers)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size)
            writer.write(self.containers)
            await writer.drain()
        else:
            theirs = await asyncio.open_unix_connection(ENGINE)
            theirs[1].write(head[:-2] + b"Connection: close\r\n\r\n")
            # What else there is of the request; an event stream ends with either side.
            ends = [asyncio.ensure_future(passed_on(*way)) for way in ((reader, theirs[1]), (theirs[0], writer))]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            theirs[1].close()


async def passed_on(reader, writer):
    while some := await reader.read(65536):
        writer.write(some)
        await writer.drain()


def listed(number):
    """As Docker lists a container."""
    body = f"{number + 1:064x}"
    address = f"127.0.{number >> 8}.{(number & 255) + 1}"
    labels = {"spin-docker.instance": INSTANCE, "spin-docker.owner": OWNER, "spin-docker.id": f"{number:032x}", "spin-docker.activity": "traffic"}
    network = {"IPAMConfig": {"IPv4Address": address}, "Links": None, "Aliases": None, "NetworkID": OWNER * 2, "EndpointID": body, "Gateway": "127.0.0.1"}
    network |= {"IPAddress": address, "IPPrefixLen": 16, "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "MacAddress": "02:42:7f:00:00:01"}
    mount = {"Type": "volume", "Name": body, "Source": "", "Destination": "/var/lib/postgresql", "Driver": "local", "Mode": "", "RW": True, "Propagation": ""}
    return {
        "Id": body, "Names": [f"/name_{number + 1}"], "Image": "atbaker/sd-postgres", "ImageID": f"sha256:{body}", "Command": "/sbin/init",
        "Created": 1_700_000_000, "Ports": [{"PrivatePort": port, "Type": "tcp"} for port in (22, 5432)], "Labels": labels, "State": "running",
        "Status": "Up 10 minutes", "HostConfig": {"NetworkMode": f"spin-docker-{INSTANCE}"},
        "NetworkSettings": {"Networks": {f"spin-docker-{INSTANCE}": network}}, "Mounts": [mount],
    }
