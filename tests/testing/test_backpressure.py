"""Whether a caller waits while its server does not read: ours does, a careless one goes red."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

import rpe
from rpe.client.settings import ClientSettings
from rpe.data import Text
from rpe.errors import RemoteTimeout
from rpe.fakes.journal import Entry, Kind
from rpe.fakes.mouth import RawGrpcServer
from rpe.manifest.model import Manifest
from rpe.testing import Stall, assert_bounded, assert_held, stalls
from rpe.transport.grpc.client import GrpcPipelineClient
from rpe.transport.grpc.settings import GrpcSettings
from rpe.transport.ports import ClientStreamSession

ECHO = Manifest.single("echo", node_type="Echo")
CHUNK = Text("x" * 500)
WINDOW = 2000
STOP = {
    "kind": "stop_reading",
    "path": "StreamPipeline",
    "after_messages": 1,
    "window_bytes": WINDOW,
    "for_s": 0.3,
}


@asynccontextmanager
async def session_of(server: RawGrpcServer, timeout_s: float = 10) -> AsyncIterator[ClientStreamSession]:
    client = GrpcPipelineClient(server.endpoint, GrpcSettings())
    session = await client.open_stream(ECHO, timeout_s=timeout_s, open_timeout_s=min(timeout_s, 5))
    try:
        yield session
    finally:
        session.cancel()
        await client.close()


class Source:
    """Hands chunks to a client as fast as it takes them, and knows how many it took."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.taken = 0

    @property
    def taken_bytes(self) -> int:
        return self.taken * len(CHUNK.text)

    async def run(self, session: Any) -> None:
        for number in range(self.count):
            await session.send(CHUNK, node_id="echo", sequence=number)
            self.taken += 1
        await session.finish()


class Careless:
    """A client that takes everything at once, and keeps what it cannot send."""

    def __init__(self, session: ClientStreamSession) -> None:
        self._session = session
        self._kept: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def send(self, data: Text, **where: Any) -> None:
        self._kept.put_nowait({"data": data, **where})

    async def finish(self) -> None:
        self._kept.put_nowait(None)

    async def run(self) -> None:
        while (chunk := await self._kept.get()) is not None:
            await self._session.send(**chunk)
        await self._session.finish()


async def read_all(session: Any) -> int:
    count = 0
    while await session.receive() is not None:
        count += 1
    return count


async def held_bytes(server: RawGrpcServer, source: Source) -> int:
    """Return what the source could hand over by a moment at which its client is held."""
    await server.journal.wait_for(lambda entry: entry.fault == "stalled")
    await asyncio.sleep(0.03)
    assert not server.journal.entries(fault="resumed")
    return source.taken_bytes


async def test_a_session_waits_and_then_goes_on() -> None:
    source = Source(40)
    async with RawGrpcServer({"calls": [STOP]}) as server, session_of(server) as session:
        async with asyncio.TaskGroup() as group:
            group.create_task(source.run(session))
            reading = group.create_task(read_all(session))
            handed_over = await held_bytes(server, source)
        assert reading.result() == 40
        await server.journal.wait_for(lambda entry: entry.kind is Kind.SENT)
        stall = assert_held(server.journal, "StreamPipeline", at_least_s=0.1, recovered=True)
    assert_bounded(stall, len(CHUNK.text), handed_over_bytes=handed_over)
    assert handed_over <= WINDOW
    assert (stall.messages, stall.bytes_before) == (1, WINDOW)
    assert stall.burst_bytes > 0 and stall.ended is Kind.SENT


async def test_a_client_that_keeps_everything_is_found_out() -> None:
    source = Source(40)
    async with RawGrpcServer({"calls": [STOP]}) as server, session_of(server) as session:
        careless = Careless(session)
        async with asyncio.TaskGroup() as group:
            group.create_task(careless.run())
            group.create_task(source.run(careless))
            group.create_task(read_all(session))
            handed_over = await held_bytes(server, source)
        stall = assert_held(server.journal, recovered=None)
    with pytest.raises(AssertionError, match="had gathered 18000 bytes while it was held"):
        assert_bounded(stall, len(CHUNK.text), handed_over_bytes=handed_over)
    with pytest.raises(AssertionError, match="10000 are allowed"):
        assert_bounded(replace(stall, burst_bytes=18_000), 10_000)  # what comes all at once tells, too


async def test_a_session_that_can_be_repeated_keeps_as_many_chunks_as_it_may() -> None:
    source, room = Source(60), 12
    settings = ClientSettings(replay_chunks=room)
    async with RawGrpcServer({"calls": [STOP]}) as server:
        async with (
            rpe.connect([server.endpoint], settings=settings) as client,
            await client.open_stream(ECHO, repeatable=True) as session,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(source.run(session))
            reading = group.create_task(read_all(session))
            handed_over = await held_bytes(server, source)
        assert reading.result() == 60
        stall = assert_held(server.journal)
    assert handed_over == room * len(CHUNK.text)
    assert_bounded(stall, room * len(CHUNK.text), handed_over_bytes=handed_over)
    with pytest.raises(AssertionError):
        assert_bounded(stall, (room - 8) * len(CHUNK.text), handed_over_bytes=handed_over)


async def test_a_caller_that_is_held_for_ever_ends_at_its_deadline() -> None:
    script = {"calls": [{**STOP, "for_s": None}]}
    async with RawGrpcServer(script) as server, session_of(server, timeout_s=0.3) as session:
        with pytest.raises(RemoteTimeout):
            await Source(40).run(session)
        await server.journal.wait_for(lambda entry: entry.kind is Kind.CANCELLED)
        stall = assert_held(server.journal, recovered=False)
    assert not stall.resumed and stall.detail == "RST_STREAM 8 CANCEL"
    assert stall.held_s is not None and 0 < stall.held_s < 3
    with pytest.raises(AssertionError, match="with recovered=True; these were held:\n  call 1 of raw"):
        assert_held(server.journal, recovered=True)


async def test_other_calls_go_on() -> None:
    script = {"calls": [{**STOP, "for_s": None}]}
    async with RawGrpcServer(script) as server:
        client = GrpcPipelineClient(server.endpoint, GrpcSettings())
        session = await client.open_stream(ECHO, timeout_s=10, open_timeout_s=5)
        sending = asyncio.ensure_future(Source(40).run(session))
        await server.journal.wait_for(lambda entry: entry.fault == "stalled")
        large = Text("y" * 100_000)
        assert (await client.execute(ECHO, {"echo": large}, timeout_s=5)).output == large
        session.cancel()
        await asyncio.wait([sending])
        assert sending.exception() is not None
        await client.close()


async def test_what_is_said_where_nobody_was_held() -> None:
    async with (
        RawGrpcServer({"calls": [{**STOP, "after_messages": 0}]}) as server,
        session_of(server) as session,
    ):
        async with asyncio.TaskGroup() as group:
            group.create_task(Source(1).run(session))
            group.create_task(read_all(session))
        with pytest.raises(AssertionError, match=r"did not use its window up"):
            assert_held(server.journal)
        with pytest.raises(AssertionError, match="never stopped reading; it had 0 calls of Other"):
            assert_held(server.journal, "Other")


def test_a_stall_that_is_not_over() -> None:
    journal = [
        Entry(Kind.FAULT, 5.0, "raw", 3, "/a/B", fault="stalled", detail="bytes=10 messages=2"),
        Entry(Kind.FAULT, 6.0, "raw", 4, "/a/C", fault="stalled", detail="bytes=20 messages=0"),
    ]
    assert stalls(journal, "B") == [Stall("raw", 3, "/a/B", 5.0, 2, 10)]
    assert len(stalls(journal)) == 2
    assert assert_held(journal, "C", at_least_s=99).held_s is None
    assert "still held after 2 messages and 10 bytes more; never read on; not over" in str(stalls(journal)[0])
