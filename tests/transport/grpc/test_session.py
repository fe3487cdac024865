"""Streaming sessions of the gRPC client against a fake server on a real socket."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest

from rpe.data import Text
from rpe.errors import (
    DataValidationError,
    InvalidRequest,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteTimeout,
    RpeError,
    SessionClosed,
    StreamBroken,
)
from rpe.fakes.server import FakeServer
from rpe.manifest.model import Manifest
from rpe.transport.grpc.client import GrpcPipelineClient
from rpe.transport.grpc.session import GrpcClientSession
from rpe.transport.grpc.settings import GrpcSettings
from rpe.wire.generated.remotemedia.v1 import streaming_pb2

ECHO = Manifest.single("echo", node_type="Echo")


@asynccontextmanager
async def session_with(
    behaviour: dict[str, Any] | None = None, *, timeout_s: float = 10.0, open_timeout_s: float = 5.0
) -> AsyncIterator[tuple[FakeServer, GrpcClientSession]]:
    async with FakeServer(behaviour=behaviour) as fake:
        client = GrpcPipelineClient(fake.endpoint, GrpcSettings())
        try:
            session = await client.open_stream(ECHO, timeout_s=timeout_s, open_timeout_s=open_timeout_s)
            assert isinstance(session, GrpcClientSession)
            yield fake, session
            session.cancel()
        finally:
            await client.close()


async def send(session: GrpcClientSession, sequence: int) -> None:
    await session.send(Text(f"chunk {sequence}"), node_id="echo", sequence=sequence)


async def test_chunks_are_answered_with_their_numbers_and_the_close_ends_it() -> None:
    async with session_with() as (_, session):
        assert session.session_id
        for sequence in range(25):  # more than ten, so that metrics come in between
            await send(session, sequence)
        await session.finish()
        results = []
        while (result := await session.receive()) is not None:
            results.append((result.sequence, result.output))
        assert results == [(sequence, Text(f"chunk {sequence}")) for sequence in range(25)]
        assert session.metrics is not None
        assert session.metrics.chunks_processed >= 10
        assert await session.receive() is None


async def test_a_gap_is_tolerated_and_a_number_that_does_not_rise_is_refused_here() -> None:
    async with session_with() as (_, session):
        await send(session, 3)
        await send(session, 9)
        with pytest.raises(DataValidationError, match="sequence"):
            await send(session, 9)
        assert [(await session.receive()).sequence for _ in range(2)] == [3, 9]  # type: ignore[union-attr]


@pytest.mark.parametrize("how", ["reset", "status", "end"])
async def test_a_cut_session_raises_and_never_ends_as_if_all_were_well(how: str) -> None:
    async with session_with({"stream": {"cut_after": 2, "how": how}}) as (_, session):
        answered = []
        with pytest.raises(RpeError) as caught:
            for sequence in range(50):
                await send(session, sequence)
                result = await session.receive()
                assert result is not None
                answered.append(result.sequence)
        assert answered == [0, 1]
        if isinstance(caught.value, StreamBroken):
            assert caught.value.last_sequence == 1
        with pytest.raises(type(caught.value)):
            await session.receive()
        with pytest.raises(RpeError):
            await send(session, 99)


async def test_an_error_inside_the_stream_is_the_pipelines() -> None:
    async with session_with({"stream": {"error_after": 1}}) as (_, session):
        await send(session, 0)
        assert await session.receive() is not None
        with pytest.raises(RemoteExecutionFailed):
            await session.receive()


@pytest.mark.parametrize("mode", ["garbage", "empty_oneof", "bad_utf8", "truncated_message"])
async def test_a_corrupted_answer_ends_the_session(mode: str) -> None:
    async with session_with({"corrupt": {"mode": mode}}) as (_, session):
        await send(session, 0)
        with pytest.raises(ProtocolViolation):
            await session.receive()
        with pytest.raises(ProtocolViolation):
            await session.receive()


async def test_a_session_that_is_not_ready_in_time_is_given_up() -> None:
    with pytest.raises(RemoteTimeout):
        async with session_with({"latency": {"fixed_s": 30.0}}, open_timeout_s=0.2):
            pass


async def test_an_unknown_node_type_is_told_at_the_opening_or_the_first_answer() -> None:
    async with FakeServer() as fake:
        client = GrpcPipelineClient(fake.endpoint, GrpcSettings())
        manifest = Manifest.single("x", node_type="NoSuchNode")
        with pytest.raises(InvalidRequest) as caught:
            session = await client.open_stream(manifest, timeout_s=5.0, open_timeout_s=5.0)
            await session.send(Text("x"), node_id="x", sequence=0)
            await session.receive()
        assert caught.value.node == "x"
        await client.close()


async def test_the_deadline_of_the_session_ends_it() -> None:
    async with session_with({"stream": {"drip_s": 5.0}}, timeout_s=0.4) as (_, session):
        await send(session, 0)
        await send(session, 1)
        with pytest.raises(RemoteTimeout):
            await session.receive()
            await session.receive()


async def test_cancelling_reaches_the_server() -> None:
    async with session_with() as (fake, session):
        await send(session, 0)
        await session.receive()
        session.cancel()
        session.cancel()
        with pytest.raises(SessionClosed):
            await session.receive()
        await fake.journal.wait_for(lambda entry: entry.kind == "cancelled", timeout_s=5.0)


async def test_cancelling_the_session_wakes_a_receive_with_an_error_not_a_cancel() -> None:
    async with session_with() as (_, session):
        task = asyncio.create_task(session.receive())
        await asyncio.sleep(0.05)
        session.cancel()
        with pytest.raises(SessionClosed):
            await task


async def test_cancelling_a_receive_ends_the_session() -> None:
    async with session_with() as (_, session):
        task = asyncio.create_task(session.receive())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(SessionClosed):
            await send(session, 0)


async def test_sending_waits_while_the_server_does_not_read() -> None:
    async with session_with({"stream": {"drip_s": 20.0}}) as (_, session):
        big = "x" * 200_000

        async def flood() -> None:
            for sequence in range(200):
                await session.send(Text(big), node_id="echo", sequence=sequence)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flood(), 1.0)


async def test_finishing_twice_is_harmless_and_nothing_can_be_sent_after_it() -> None:
    async with session_with() as (_, session):
        await session.finish()
        await session.finish()
        with pytest.raises(SessionClosed):
            await send(session, 0)


async def test_an_error_that_is_kept_does_not_keep_the_connection() -> None:
    kept: list[RpeError] = []
    async with FakeServer(behaviour={"stream": {"cut_after": 1, "how": "status"}}) as fake:
        client = GrpcPipelineClient(fake.endpoint, GrpcSettings())
        for _ in range(3):
            session = await client.open_stream(ECHO, timeout_s=5.0, open_timeout_s=5.0)
            with pytest.raises(RpeError) as caught:
                await session.send(Text("x"), node_id="echo", sequence=0)
                await session.receive()
                await session.receive()
            kept.append(caught.value)
        del session, caught
        await client.close()
        gc.collect()
        port = int(fake.endpoint.rpartition(":")[2])
        for _ in range(100):
            open_now = psutil.Process().net_connections()
            held = [c for c in open_now if getattr(c.raddr, "port", None) == port]
            if not held:
                break
            await asyncio.sleep(0.02)
        assert held == []
    assert len(kept) == 3


class QuickServer:
    """A call whose server answers `closed` while the client is still saying that it is done."""

    def __init__(self, *, until: str) -> None:
        self._until = until
        self._read = asyncio.Event()

    async def write(self, payload: bytes) -> None:
        if self._until == "write":
            await self._read.wait()

    async def done_writing(self) -> None:
        await self._read.wait()
        raise asyncio.InvalidStateError("the call has ended")

    async def read(self) -> bytes:
        return streaming_pb2.StreamResponse(closed=streaming_pb2.StreamClosed()).SerializeToString()

    def cancel(self) -> None:
        self._read.set()


@pytest.mark.parametrize("until", ["write", "done_writing"])
async def test_a_session_that_is_closed_before_finish_returns_has_ended_well(until: str) -> None:
    session = GrpcClientSession(QuickServer(until=until), "here:1")
    finishing = asyncio.create_task(session.finish())
    await asyncio.sleep(0)
    assert await session.receive() is None
    await finishing
