"""One session over HTTP, as the checks hold it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

from rpe.data import RuntimeData, Text
from rpe.testing.fidelity.http.calls import input_body, stream_body
from rpe.testing.fidelity.http.client import HttpConnection, HttpResponse, request
from rpe.testing.fidelity.http.events import EventReader
from rpe.testing.fidelity.model import Violation
from rpe.testing.fidelity.samples import check_same
from rpe.testing.fidelity.target import Target
from rpe.wire.json import decode_transport

__all__ = ["HttpSession"]


class HttpSession:
    """An open session: its requests go over one connection, its output comes over another."""

    def __init__(self, connection: HttpConnection, session_id: str) -> None:
        self.path = f"/stream/{quote(session_id, safe='')}"
        self.connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, target: Target) -> AsyncIterator[HttpSession]:
        """Open a session for the time inside. Raises Violation where it gets no id."""
        async with HttpConnection.open(target) as connection:
            response = await connection.send("POST", "/stream", stream_body(target))
            if response.status != 200:
                raise Violation(
                    f"POST /stream was answered with {response.status}: {await response.body()!r}"
                )
            told = await response.json()
            session_id = told.get("session_id") if isinstance(told, dict) else None
            if not isinstance(session_id, str) or not session_id:
                raise Violation(
                    f"POST /stream was answered with {json.dumps(told)[:80]}, without a session_id"
                )
            yield cls(connection, session_id)

    @asynccontextmanager
    async def output(self) -> AsyncIterator[HttpResponse]:
        """Begin to read the output, for the time inside. Raises Violation where it is refused."""
        async with request(self.connection.target, "GET", f"{self.path}/output") as response:
            if response.status != 200:
                raise Violation(f"the output was answered with {response.status}: {await response.body()!r}")
            yield response

    async def post(self, data: RuntimeData, sequence: int) -> HttpResponse:
        """Send one chunk, and return what it is answered with."""
        return await self.connection.send("POST", f"{self.path}/input", input_body(data, sequence))

    async def say(self, sequence: int) -> None:
        """Send one chunk that tells its number. Raises Violation where it is not taken."""
        response = await self.post(Text(f"chunk {sequence}"), sequence)
        body = await response.body()
        if response.status != 200:
            raise Violation(f"chunk {sequence} was answered with {response.status}: {body[:120]!r}")

    async def hear(self, events: EventReader, sequence: int) -> None:
        """Read one event, and check that it is the answer to that chunk."""
        event = await events.next()
        if event is None:
            raise Violation(f"the events ended where the result of chunk {sequence} was due")
        if event.kind != "message":
            raise Violation(f"an event of the type {event.kind!r} came: {event.data[:80]!r}")
        told = decode_transport(event.data)
        if told.sequence != sequence:
            raise Violation(f"the result of chunk {sequence} was due, and that of {told.sequence} came")
        check_same(Text(f"chunk {sequence}"), told.data, f"chunk {sequence}")

    async def delete(self) -> None:
        """Close the session. Raises Violation where that is not answered with 200."""
        response = await self.connection.send("DELETE", self.path)
        body = await response.body()
        if response.status != 200:
            raise Violation(f"DELETE was answered with {response.status}: {body[:120]!r}")

    async def check_end(self, events: EventReader) -> None:
        """Check that no result comes any more, and that the body of the output ends in good order."""
        while (event := await events.next()) is not None:
            if event.kind != "closed":
                raise Violation(f"an event came after the last result: {event.data[:80]!r}")
