"""A little HTTP server of pipelines that shares nothing with ours, and breaks one thing if it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

__all__ = ["BROKEN", "little_server"]

BROKEN: dict[str, set[str]] = {
    "the output is one body with a length": {"events-head", "events-at-once", "events-keep-alive"},
    "the status is in the body": {
        "broken-json",
        "invalid-manifest",
        "unknown-node-type",
        "unknown-session",
        "input-after-delete",
        "broken-input",
    },
    "no blank line ends an event": {"events-framing", "events-at-once"},
    "errors are plain text": {"broken-json", "invalid-manifest", "unknown-node-type", "unknown-session"},
    "no output says its type": {"events-head"},
    "events have no sequence": {"session-order", "session-delete"},
    "every session has one id": {"session-id"},
    "nothing breaks the silence": {"events-keep-alive"},
    "DELETE closes nothing": {"input-after-delete", "session-delete"},
    "DELETE cuts the output": {"session-delete"},
    "each answer is another": {"execute", "same-answer"},
    "the health has a body": {"health"},
    "requests need a length": {"split-body"},
    "bodies are small": {"big-body"},
    "nobody is asked for a token": {"token"},
}
"""What can be wrong with it, and the checks that must see it."""

TOKEN = "a-t0ken"


@dataclass
class Session:
    results: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    over: bool = False


class Refused(Exception):
    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


class LittleServer:
    def __init__(self, broken: str, *, token: bool) -> None:
        self.broken = broken
        self.token = token
        self.sessions: dict[str, Session] = {}
        self.count = 0
        self.tasks: set[asyncio.Task[Any]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self.one(reader, writer, head.decode("latin-1"))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self.tasks.discard(task)

    async def one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        first, *lines = head.split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        try:
            body = await self.body(reader, headers)
            if self.token and path != "/health" and headers.get("authorization") != f"Bearer {TOKEN}":
                raise Refused(401, "validation", "the token is missing or wrong")
            if method == "GET" and path.endswith("/output"):
                await self.output(writer, self.find(path))
                return
            answer = self.route(method, path, body)
            status = 200
        except Refused as refused:
            status = refused.status
            answer = json.dumps({"error_type": refused.kind, "message": str(refused)}).encode()
            if self.broken == "the status is in the body":
                answer, status = json.dumps({"status": status, **json.loads(answer)}).encode(), 200
        kind = "application/json"
        if status != 200 and self.broken == "errors are plain text":
            kind = "text/plain"
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(answer)}\r\n\r\n".encode()
        )
        writer.write(answer)
        await writer.drain()

    async def body(self, reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        if "transfer-encoding" not in headers:
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        else:
            body = b""
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
            if self.broken == "requests need a length":
                raise Refused(411, "input", "no length")
        if len(body) > 65_536 and self.broken == "bodies are small":
            raise Refused(413, "input", "too long")
        return body

    def route(self, method: str, path: str, body: bytes) -> bytes:
        if path == "/health":
            return b"ok" if self.broken == "the health has a body" else b""
        if path == "/execute":
            request = self.parse(body, "manifest", "input")
            self.check(request["manifest"])
            output = request["input"]
            self.count += 1
            if self.broken == "each answer is another" and "Text" in output["data"]:
                output["data"]["Text"] += str(self.count)
            return json.dumps({"output": output}).encode()
        if path == "/stream":
            self.check(self.parse(body, "manifest")["manifest"])
            key = "one" if self.broken == "every session has one id" else f"a/b {len(self.sessions)}"
            self.sessions[key] = Session()
            return json.dumps({"session_id": key}).encode()
        session = self.find(path)
        if method == "DELETE":
            session.over = self.broken != "DELETE closes nothing"
            if session.over:
                session.results.put_nowait(None)
            return b""
        data = self.parse(body, "data")["data"]
        if session.over:
            raise Refused(409, "execution", "the session takes no more")
        if self.broken == "events have no sequence":
            data["sequence"] = None
        session.results.put_nowait(json.dumps(data).encode())
        return b""

    def parse(self, body: bytes, *names: str) -> Any:
        try:
            told = json.loads(body)
        except ValueError as error:
            raise Refused(400, "input", "no JSON") from error
        if not isinstance(told, dict) or not all(isinstance(told.get(name), dict) for name in names):
            raise Refused(400, "input", f"no object with {names}")
        return told

    def check(self, manifest: Any) -> None:
        ids = {node["id"] for node in manifest["nodes"]}
        if any(not {link["from"], link["to"]} <= ids for link in manifest["connections"]):
            raise Refused(400, "manifest", "a connection to nowhere")
        if any(node["node_type"] != "Echo" for node in manifest["nodes"]):
            raise Refused(400, "manifest", "no such node type")

    def find(self, path: str) -> Session:
        key = unquote(path.split("/")[2])
        if key not in self.sessions:
            raise Refused(404, "validation", "no such session")
        return self.sessions[key]

    async def output(self, writer: asyncio.StreamWriter, session: Session) -> None:
        kind = "text/plain" if self.broken == "no output says its type" else "text/event-stream"
        gap = b"\n" if self.broken == "no blank line ends an event" else b"\n\n"
        start = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n"
        if self.broken == "the output is one body with a length":
            events = b""
            while (result := await session.results.get()) is not None:
                events += b"data: " + result + gap
            writer.write(f"{start}Content-Length: {len(events)}\r\n\r\n".encode() + events)
            return
        writer.write(f"{start}Transfer-Encoding: chunked\r\n\r\n".encode())
        if self.broken != "nothing breaks the silence":
            self.chunk(writer, b": alive\n\n")
        while (result := await session.results.get()) is not None:
            self.chunk(writer, b"data: " + result + gap)
        if self.broken == "DELETE cuts the output":
            writer.close()
            return
        self.chunk(writer, b"")

    def chunk(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(b"%x\r\n%s\r\n" % (len(data), data))


@asynccontextmanager
async def little_server(broken: str = "", *, token: bool = False) -> AsyncIterator[str]:
    """Serve on a free port of this machine while inside; gives the endpoint."""
    little = LittleServer(broken, token=token)
    server = await asyncio.start_server(little.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        server.close()
        for task in little.tasks:
            task.cancel()
        if little.tasks:
            await asyncio.wait(little.tasks)
        await server.wait_closed()
