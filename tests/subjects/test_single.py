"""The subject `bare` on every wire: one client of one endpoint, one attempt per operation."""

from __future__ import annotations

import pytest

from rpe.chaos.subject import ClientRequest, SubjectContext, SubjectOperation
from rpe.data import Text
from rpe.errors import RemoteUnavailable, SessionClosed
from rpe.fakes import FakeServer, Kind
from rpe.manifest.model import Manifest
from rpe.subjects import bare

MANIFEST = Manifest.single("echo", node_type="Echo")
WIRES = ("http", "webrtc")


def context(transport: str, *servers: FakeServer, **request: object) -> SubjectContext:
    endpoints = {server.name: server.endpoint for server in servers}
    asked = ClientRequest.model_validate(request)
    return SubjectContext(endpoints, transport, asked, MANIFEST, 0, lambda event, fields: None)


def operation(number: int = 0) -> SubjectOperation:
    return SubjectOperation(f"calls-{number}", {"echo": Text(f"hello {number}")}, 5.0, True)


@pytest.mark.parametrize("transport", WIRES)
async def test_an_operation_is_one_attempt_at_the_first_endpoint(transport: str) -> None:
    script = {"token": "good", "error": {"status": "unavailable", "first": 1}}
    async with FakeServer("a", transport, script) as one, FakeServer("b", transport) as two:
        subject = await bare.create(context(transport, one, two, token="good"))
        with pytest.raises(RemoteUnavailable):
            await subject.execute(operation(0))
        assert await subject.execute(operation(1)) == {"output": Text("hello 1")}
        assert subject.in_flight() == 0
        await subject.close()
        seen = [(entry.operation_id, entry.attempt) for entry in one.journal.entries(Kind.RECEIVED)]
        assert seen == [("calls-0", 1), ("calls-1", 1)]
        assert two.journal.entries(Kind.RECEIVED) == []


@pytest.mark.parametrize("transport", WIRES)
async def test_a_session_carries_chunks_both_ways_and_ends(transport: str) -> None:
    async with FakeServer("a", transport) as server:
        subject = await bare.create(context(transport, server))
        stream = await subject.open_stream(operation())
        for sequence in range(3):
            await stream.send(sequence, Text(f"c{sequence}"))
            assert await stream.receive() == (sequence, {"output": Text(f"c{sequence}")})
        await stream.finish()
        assert await stream.receive() is None
        cut = await subject.open_stream(operation(1))
        cut.cancel()
        with pytest.raises(SessionClosed):
            await cut.receive()
        await subject.close()
