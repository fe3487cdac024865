"""Streaming sessions of the HTTP client against a fake server on a real socket."""

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
    ConnectionLost,
    DataValidationError,
    InvalidRequest,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteOverloaded,
    RemoteTimeout,
    RemoteUnavailable,
    RpeError,
    SessionClosed,
    StreamBroken,
)
from rpe.fakes import Kind, NodeCall
from rpe.fakes.server import FakeServer
from rpe.manifest.model import Manifest
from rpe.transport.http.client import HttpPipelineClient
from rpe.transport.http.session import HttpClientSession
from rpe.transport.http.settings import HttpSettings

ECHO = Manifest.single("echo", node_type="Echo")


@asynccontextmanager
async def session_with(
    behaviour: dict[str, Any] | None = None,
    *,
    manifest: Manifest = ECHO,
    timeout_s: float = 10.0,
    open_timeout_s: float = 5.0,
    fake_settings: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[FakeServer, HttpClientSession]]:
    async with FakeServer(transport="http", behaviour=behaviour, **(fake_settings or {})) as fake:
        client = HttpPipelineClient(fake.endpoint, HttpSettings(**settings))
        try:
            session = await client.open_stream(manifest, timeout_s=timeout_s, open_timeout_s=open_timeout_s)
            assert isinstance(session, HttpClientSession)
            yield fake, session
            session.cancel()
        finally:
            await client.close()


async def send(session: HttpClientSession, sequence: int) -> None:
    await session.send(Text(f"chunk {sequence}"), node_id="echo", sequence=sequence)


async def test_chunks_are_answered_with_their_numbers_and_the_close_ends_it() -> None:
    async with session_with() as (fake, session):
        assert session.session_id
        for sequence in range(12):
            await send(session, sequence)
        await session.finish()
        results = []
        while (result := await session.receive()) is not None:
            results.append((result.sequence, result.output))
        assert results == [(sequence, Text(f"chunk {sequence}")) for sequence in range(12)]
        assert await session.receive() is None
        with pytest.raises(SessionClosed):
            await send(session, 99)
        assert [entry.detail for entry in fake.journal.entries(Kind.SENT)] == ["12 results"]


async def test_a_long_session_sends_and_receives_at_once() -> None:
    count = 600  # more than the server keeps of what it has written
    async with session_with() as (_, session):

        async def flood() -> None:
            for sequence in range(count):
                await send(session, sequence)
            await session.finish()

        async with asyncio.TaskGroup() as both:
            both.create_task(flood())
            seen = []
            while (result := await session.receive()) is not None:
                seen.append(result.sequence)
        assert seen == list(range(count))


async def test_a_gap_is_tolerated_and_a_number_that_does_not_rise_is_refused_here() -> None:
    async with session_with() as (_, session):
        await send(session, 3)
        await send(session, 9)
        with pytest.raises(DataValidationError, match="sequence"):
            await send(session, 9)
        assert [(await session.receive()).sequence for _ in range(2)] == [3, 9]  # type: ignore[union-attr]


async def test_several_buffers_in_one_chunk_have_no_place_on_this_wire() -> None:
    async with session_with() as (_, session):
        with pytest.raises(DataValidationError, match="several buffers"):
            await session.send({"a": Text("x"), "b": Text("y")}, node_id="echo", sequence=0)
        await send(session, 0)
        assert (await session.receive()) is not None


async def test_several_outputs_of_a_chunk_come_as_one_result() -> None:
    two = Manifest.from_dict(
        {
            "version": "v1",
            "nodes": [
                {"id": "in", "node_type": "Echo"},
                {"id": "up", "node_type": "UpperCase"},
                {"id": "back", "node_type": "Reverse"},
            ],
            "connections": [{"from": "in", "to": "up"}, {"from": "in", "to": "back"}],
        }
    )
    async with session_with(manifest=two) as (_, session):
        for sequence in range(2):
            await session.send(Text("ab"), node_id="in", sequence=sequence)
            result = await session.receive()
            assert result is not None
            assert result.sequence == sequence
            assert dict(result.outputs) == {"up": Text("AB"), "back": Text("ba")}


async def test_several_results_of_a_chunk_come_one_by_one() -> None:
    def twice(data: Any, call: NodeCall) -> list[Any]:
        return [data, Text(f"{data.text} again")]

    manifest = Manifest.single("echo", node_type="Twice")
    async with session_with(manifest=manifest, fake_settings={"nodes": {"Twice": twice}}) as (_, session):
        await send(session, 4)
        results = [await session.receive() for _ in range(2)]
        assert [(each.sequence, each.output) for each in results if each is not None] == [
            (4, Text("chunk 4")),
            (4, Text("chunk 4 again")),
        ]


@pytest.mark.parametrize(
    ("how", "error"), [("reset", StreamBroken), ("status", RemoteUnavailable), ("end", StreamBroken)]
)
async def test_a_cut_session_raises_and_never_ends_as_if_all_were_well(
    how: str, error: type[RpeError]
) -> None:
    async with session_with({"stream": {"cut_after": 2, "how": how}}) as (_, session):
        answered = []
        with pytest.raises(error) as caught:
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


@pytest.mark.parametrize("how", ["reset", "end"])
async def test_a_session_that_is_cut_after_the_finish_has_not_ended_well(how: str) -> None:
    """The caller has asked for the end, and the output does end, but two chunks are without an answer."""
    script = {"latency": {"fixed_s": 0.05}, "stream": {"cut_after": 2, "how": how}}
    async with session_with(script) as (_, session):
        for sequence in range(4):
            await send(session, sequence)
        await session.finish()
        with pytest.raises(StreamBroken):
            while True:
                assert await session.receive() is not None


async def test_silence_lasts_until_the_deadline_of_the_session() -> None:
    script = {"stream": {"cut_after": 1, "how": "silence"}}
    async with session_with(script, timeout_s=0.4) as (_, session):
        await send(session, 0)
        assert await session.receive() is not None
        with pytest.raises(RemoteTimeout):
            await session.receive()


async def test_a_status_inside_the_stream_keeps_its_retry_hint() -> None:
    overload = {"overload": {"above_in_flight": 0, "retry_after_s": 0.25}}
    with pytest.raises(RemoteOverloaded) as caught:
        async with session_with(overload):
            pass
    assert caught.value.retry_after_s == 0.25


async def test_an_error_inside_the_stream_is_the_pipelines() -> None:
    async with session_with({"stream": {"error_after": 1}}) as (_, session):
        await send(session, 0)
        assert await session.receive() is not None
        with pytest.raises(RemoteExecutionFailed) as caught:
            await session.receive()
        assert caught.value.error_type == "node_execution"


async def test_a_chunk_that_comes_too_late_is_told_how_the_session_ended() -> None:
    async with session_with({"stream": {"error_after": 0}}) as (fake, session):
        await fake.journal.wait_for(lambda entry: entry.kind == "failed")
        with pytest.raises(RemoteExecutionFailed, match="scripted failure"):
            await send(session, 0)


@pytest.mark.parametrize("mode", ["garbage", "empty_oneof", "bad_utf8", "truncated_message", "short_audio"])
async def test_a_corrupted_answer_ends_the_session_and_the_server_is_told(mode: str) -> None:
    async with session_with({"corrupt": {"mode": mode}}) as (fake, session):
        await send(session, 0)
        with pytest.raises(ProtocolViolation):
            await session.receive()
        with pytest.raises(ProtocolViolation):
            await session.receive()
        await fake.journal.wait_for(lambda entry: entry.kind == "cancelled")


async def test_a_session_that_is_not_ready_in_time_is_given_up() -> None:
    async with FakeServer(transport="http", behaviour={"latency": {"fixed_s": 30.0}}) as fake:
        client = HttpPipelineClient(fake.endpoint, HttpSettings())
        with pytest.raises(RemoteTimeout) as caught:
            await client.open_stream(ECHO, timeout_s=10.0, open_timeout_s=0.2)
        assert not caught.value.maybe_executed
        await fake.journal.wait_for(lambda entry: entry.kind == "cancelled")
        await client.close()


async def test_an_unknown_node_type_is_told_at_the_opening() -> None:
    with pytest.raises(InvalidRequest) as caught:
        async with session_with(manifest=Manifest.single("x", node_type="NoSuchNode")):
            pass
    assert caught.value.node == "x"


async def test_the_deadline_of_the_session_ends_it() -> None:
    async with session_with({"stream": {"drip_s": 5.0}}, timeout_s=0.4) as (fake, session):
        await send(session, 0)
        await send(session, 1)
        with pytest.raises(RemoteTimeout):
            await session.receive()
            await session.receive()
        end = await fake.journal.wait_for(lambda entry: entry.kind == "cancelled")
        assert end.detail == "deadline"


async def test_cancelling_reaches_the_server() -> None:
    async with session_with() as (fake, session):
        await send(session, 0)
        await session.receive()
        session.cancel()
        session.cancel()
        with pytest.raises(SessionClosed):
            await session.receive()
        await fake.journal.wait_for(lambda entry: entry.kind == "cancelled")


async def test_cancelling_the_session_wakes_a_receive_with_an_error_not_a_cancel() -> None:
    async with session_with() as (_, session):
        task = asyncio.create_task(session.receive())
        await asyncio.sleep(0.05)
        session.cancel()
        with pytest.raises(SessionClosed):
            await task


async def test_cancelling_the_session_wakes_a_send_that_waits() -> None:
    async with session_with({"stream": {"drip_s": 20.0}}) as (_, session):

        async def flood() -> None:
            for sequence in range(1000):
                await send(session, sequence)

        task = asyncio.create_task(flood())
        await asyncio.sleep(0.15)
        assert not task.done()
        session.cancel()
        with pytest.raises(SessionClosed):
            await task


async def test_cancelling_a_receive_ends_the_session() -> None:
    async with session_with() as (fake, session):
        task = asyncio.create_task(session.receive())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(SessionClosed):
            await send(session, 0)
        await fake.journal.wait_for(lambda entry: entry.kind == "cancelled")


async def test_cancelling_a_send_ends_the_session() -> None:
    async with session_with({"stream": {"drip_s": 20.0}}) as (fake, session):

        async def flood() -> None:
            for sequence in range(1000):
                await send(session, sequence)

        task = asyncio.create_task(flood())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(SessionClosed):
            await session.receive()
        await fake.journal.wait_for(lambda entry: entry.kind == "cancelled")


async def test_cancelling_an_opening_is_told_to_the_server() -> None:
    async with FakeServer(transport="http", behaviour={"latency": {"fixed_s": 30.0}}) as fake:
        client = HttpPipelineClient(fake.endpoint, HttpSettings())
        task = asyncio.ensure_future(client.open_stream(ECHO, timeout_s=10.0, open_timeout_s=5.0))
        await fake.journal.wait_for(lambda entry: entry.kind == "received")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await fake.journal.wait_for(lambda entry: entry.kind == "cancelled")
        await client.close()


async def test_sending_waits_while_the_server_does_not_read() -> None:
    async with session_with({"stream": {"drip_s": 20.0}}) as (_, session):
        sent = 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                for sequence in range(1000):
                    await send(session, sequence)
                    sent += 1
        assert 2 <= sent <= 40


async def test_finishing_twice_is_harmless_and_nothing_can_be_sent_after_it() -> None:
    async with session_with() as (_, session):
        await session.finish()
        await session.finish()
        with pytest.raises(SessionClosed):
            await send(session, 0)


async def test_closing_the_client_ends_its_sessions_with_an_error_and_the_server_is_told() -> None:
    async with FakeServer(transport="http") as fake:
        client = HttpPipelineClient(fake.endpoint, HttpSettings())
        session = await client.open_stream(ECHO, timeout_s=10.0, open_timeout_s=5.0)
        task = asyncio.ensure_future(session.receive())
        await asyncio.sleep(0.02)
        await client.close()
        with pytest.raises(ConnectionLost, match="closed"):
            await task
        with pytest.raises(ConnectionLost, match="closed"):
            await session.receive()
        await fake.journal.wait_for(lambda entry: entry.kind == "cancelled")


async def test_a_server_that_stops_breaks_its_sessions() -> None:
    async with session_with(reconnects=1) as (fake, session):
        await send(session, 0)
        assert await session.receive() is not None
        await fake.stop()
        with pytest.raises(StreamBroken) as caught:
            await session.receive()
        assert caught.value.last_sequence == 0


async def test_a_session_that_is_dropped_is_not_kept_by_its_client() -> None:
    async with FakeServer(transport="http") as fake:
        client = HttpPipelineClient(fake.endpoint, HttpSettings())
        tasks = len(asyncio.all_tasks())
        for _ in range(3):
            session = await client.open_stream(ECHO, timeout_s=5.0, open_timeout_s=5.0)
            session.cancel()
        del session
        gc.collect()
        assert len(client._sessions) == 0
        await client.close()
        await asyncio.sleep(0.02)
        assert len(asyncio.all_tasks()) <= tasks
        port = int(fake.endpoint.rpartition(":")[2])
        left = [each for each in psutil.Process().net_connections("tcp") if each.status == "ESTABLISHED"]
        assert [each for each in left if port in (each.laddr[1], each.raddr[1])] == []
