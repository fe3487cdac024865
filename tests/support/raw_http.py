"""A server that says, byte for byte, what a test tells it to say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Conversation", "Request", "answer", "chunked", "raw_http", "said"]


@dataclass
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Conversation:
    """The server's end of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    seen: list[Request] = field(default_factory=list)

    async def request(self) -> Request | None:
        """Read the next request, None at the end of the connection."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, path, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        request = Request(method, path, headers, body, self.number)
        self.seen.append(request)
        return request

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    def end(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Talk = Callable[[Conversation], Awaitable[None]]


@asynccontextmanager
async def raw_http(talk: Talk) -> AsyncIterator[tuple[str, list[Request]]]:
    """Serve each connection by `talk`; its address, and the requests that came in, in order."""
    seen: list[Request] = []
    tasks: set[asyncio.Task[None]] = set()
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(Conversation(reader, writer, count, seen))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        await asyncio.sleep(0.02)  # asyncio loses the socket of a connection that is accepted while it closes
        server.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await server.wait_closed()


def answer(
    status: int = 200,
    body: bytes = b"",
    kind: str = "application/json",
    *more: str,
    length: int | None = None,
) -> bytes:
    """Return the bytes of a whole answer; `length` is what it claims to have."""
    head = [
        f"HTTP/1.1 {status} Whatever",
        f"Content-Length: {len(body) if length is None else length}",
        *([f"Content-Type: {kind}"] if kind else []),
        *more,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def chunked(kind: str, *more: str) -> bytes:
    """Return the head of an answer in chunks."""
    head = ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", f"Content-Type: {kind}", *more]
    return "\r\n".join(head).encode() + b"\r\n\r\n"


def said(*payloads: bytes) -> bytes:
    """Return payloads as chunks."""
    return b"".join(f"{len(payload):x}\r\n".encode() + payload + b"\r\n" for payload in payloads)
