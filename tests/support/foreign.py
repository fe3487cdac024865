"""A server of the HTTP contract that knows nothing else, and whose outputs a test writes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from rpe.data import Text
from rpe.manifest.model import Manifest
from rpe.transport.http.client import HttpPipelineClient
from rpe.transport.http.session import HttpClientSession
from rpe.transport.http.settings import HttpSettings
from tests.support.raw_http import Conversation, Request, answer, chunked, raw_http, said

__all__ = ["ECHO", "LAST", "Foreign", "Output", "event", "received", "says", "send", "session_with"]

ECHO = Manifest.single("echo", node_type="Echo")
LAST = b"0\r\n\r\n"

Output = Callable[[Conversation, Request], Awaitable[None]]


def event(text: str, sequence: int | None, **more: str) -> bytes:
    data = json.dumps({"data": {"Text": text}, "sequence": sequence, "metadata": {}})
    head = "".join(f"{name}: {value}\n" for name, value in more.items())
    return f"{head}data: {data}\n\n".encode()


class Foreign:
    """A server of the contract, whose outputs a test writes: one function for each time one is asked for."""

    def __init__(self, *outputs: Output, taken: bytes = b"", opened: bytes = b"") -> None:
        self.outputs = list(outputs)
        self.taken = taken or answer(200, kind="")
        self.opened = opened or answer(200, b'{"session_id": "a/b c"}')
        self.deleted = asyncio.Event()
        self.inputs: list[Any] = []

    async def talk(self, conversation: Conversation) -> None:
        while request := await conversation.request():
            path = request.path.removeprefix("/stream")
            if (request.method, path) == ("POST", ""):
                await conversation.say(self.opened)
            elif (request.method, path) == ("POST", "/a%2Fb%20c/input"):
                self.inputs.append(request.json())
                await conversation.say(self.taken)
            elif (request.method, path) == ("GET", "/a%2Fb%20c/output"):
                await self.outputs.pop(0)(conversation, request)
            elif (request.method, path) == ("DELETE", "/a%2Fb%20c"):
                self.deleted.set()
                await conversation.say(answer(200, kind=""))
            else:
                await conversation.say(answer(404, b"{}"))


@asynccontextmanager
async def session_with(
    server: Foreign, **settings: Any
) -> AsyncIterator[tuple[HttpClientSession, list[Request]]]:
    timeout_s = settings.pop("timeout_s", 5.0)
    async with raw_http(server.talk) as (endpoint, seen):
        client = HttpPipelineClient(endpoint, HttpSettings(**settings))
        try:
            session = await client.open_stream(ECHO, timeout_s=timeout_s, open_timeout_s=2.0)
            assert isinstance(session, HttpClientSession)
            yield session, seen
            session.cancel()
        finally:
            await client.close()


def says(*pieces: bytes, then: str = "wait", agrees: bool = False) -> Output:
    """An output of these pieces, and after them an end in good order, a break, or nothing."""

    async def output(conversation: Conversation, request: Request) -> None:
        head = ["rpe-wire: v1"] if agrees else []
        await conversation.say(chunked("text/event-stream", *head))
        for piece in pieces:
            await conversation.say(said(piece))
            await asyncio.sleep(0.001)
        if then == "end":
            await conversation.say(LAST)
        elif then == "break":
            conversation.end()
        elif then == "reset":
            await asyncio.sleep(0.02)
            conversation.reset()
        else:
            await conversation.reader.read()

    return output


async def send(session: HttpClientSession, count: int, first: int = 0) -> None:
    for sequence in range(first, first + count):
        await session.send(Text(f"{sequence}"), node_id="echo", sequence=sequence)


async def received(session: HttpClientSession) -> list[tuple[int, str]]:
    """Everything until the session ends well."""
    results = []
    while (result := await session.receive()) is not None:
        assert isinstance(result.output, Text)
        results.append((result.sequence, result.output.text))
    return results
