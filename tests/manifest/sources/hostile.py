from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from rpe.clock import SYSTEM_CLOCK
from rpe.manifest.model import Manifest

MANIFEST = Manifest.single("echo", node_type="Echo")
GOOD = MANIFEST.to_json().encode()

Script = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Request:
    path: str
    headers: dict[str, str]


@dataclass
class Server:
    """A server of raw bytes that does what its script says, and remembers what it was asked."""

    host: str
    script: Script
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the connection of a request is gone."""

    def url(self, path: str = "/p.json", host: str | None = None) -> str:
        return f"http://{host or self.host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            pairs = (line.split(": ", 1) for line in head[1:] if line)
            headers = {name.lower(): value for name, value in pairs}
            self.requests.append(Request(head[0].split()[1], headers))
            await self.script(self.requests[-1], writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.ended.set()


def response(
    body: bytes = GOOD, *, status: str = "200 OK", type: str = "application/json", **headers: str
) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"Content-Type: {type}"] if type else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def says(*answers: bytes) -> Script:
    """Gives these answers, one each time, and the last one from then on."""
    left = list(answers)

    async def script(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return script


def redirects(location: str, status: str = "302 Found") -> Script:
    return says(response(b"", status=status, Location=location))


async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
        await writer.drain()


async def slow(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def bomb(request: Request, writer: asyncio.StreamWriter) -> None:
    packed = gzip.compress(b" " * 50_000_000, compresslevel=1)
    writer.write(response(packed, Content_Encoding="gzip"))


class Servers:
    """Starts servers; `close` ends them and their connections."""

    def __init__(self) -> None:
        self._running: list[asyncio.Server] = []
        self._connections: list[asyncio.Task[None]] = []

    async def __call__(self, script: Script, host: str = "127.0.0.1") -> Server:
        server = Server(host, script)

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._connections.append(asyncio.create_task(server.serve(reader, writer)))

        listening = await asyncio.start_server(connected, host, 0)
        self._running.append(listening)
        server.port = listening.sockets[0].getsockname()[1]
        return server

    async def close(self) -> None:
        for listening in self._running:
            listening.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)


class HandClock:
    """Real deadlines, and an age of things that a test turns on by hand."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> float:
        return SYSTEM_CLOCK.now() + self.ahead_s

    async def sleep(self, delay_s: float) -> None:
        await SYSTEM_CLOCK.sleep(delay_s)

    async def sleep_until(self, when_s: float) -> None:
        await SYSTEM_CLOCK.sleep_until(when_s - self.ahead_s)

    def deadline(self, when_s: float | None) -> AbstractAsyncContextManager[object]:
        return SYSTEM_CLOCK.deadline(None if when_s is None else when_s - self.ahead_s)
