"""Sessions over real connections: order, ends, and the channel that does not wait for what was lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rpe.data import Binary, Text
from rpe.errors import (
    ConnectionLost,
    InvalidRequest,
    ProtocolViolation,
    RemoteOverloaded,
    RemoteTimeout,
    RemoteUnavailable,
    SessionClosed,
    StreamBroken,
)
from rpe.transport.ports import ChunkResult, ClientStreamSession
from rpe.transport.serving import Refusal, ServerSession, StatusCode
from rpe.transport.webrtc.client import WebrtcPipelineClient
from tests.support.handlers import Handler
from tests.support.webrtc import ECHO, none_left, others, served, sockets


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    before, tasks = sockets(), others()
    yield
    assert others() - tasks == set()
    await none_left(before)


async def open_session(
    client: WebrtcPipelineClient, *, timeout_s: float = 10.0, open_timeout_s: float = 5.0
) -> ClientStreamSession:
    return await client.open_stream(ECHO, timeout_s=timeout_s, open_timeout_s=open_timeout_s)


async def say(session: ClientStreamSession, *numbers: int) -> None:
    for n in numbers:
        await session.send(Text(f"{n}"), node_id="n0", sequence=n)


async def rest(session: ClientStreamSession) -> list[ChunkResult]:
    found = []
    async with asyncio.timeout(10):
        while (result := await session.receive()) is not None:
            found.append(result)
    return found


@pytest.fixture(params=["reliable", "lossy"])
def channel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_chunks_go_and_results_come_in_order(channel: str) -> None:
    handler = Handler()
    async with served(handler, stream_channel=channel) as (client, _):
        session = await open_session(client)
        assert session.session_id == "s-1"
        await say(session, *range(100))
        await session.send({"a": Text("x"), "b": Text("y")}, node_id="n0", sequence=200, timestamp_ms=7)
        await session.finish()
        results = await rest(session)
        assert [result.sequence for result in results] == [*range(100), 200]
        assert results[5].output == Text("5")
        assert results[-1].outputs == {"a": Text("x"), "b": Text("y")}
        assert await session.receive() is None
    assert [received.sequence for received in handler.seen] == [*range(100), 200]
    assert handler.seen[-1].timestamp_ms == 7


async def test_large_chunks_go_in_parts(channel: str) -> None:
    async with served(stream_channel=channel) as (client, _):
        session = await open_session(client)
        chunk = Binary(random.Random(1).randbytes(70_000))
        for n in range(4):
            await session.send(chunk, node_id="n0", sequence=n)
        await session.finish()
        assert [result.output for result in await rest(session)] == [chunk] * 4


async def test_many_sessions_and_calls_share_a_peer(channel: str) -> None:
    async with served(stream_channel=channel) as (client, signalling):

        async def talk() -> None:
            session = await open_session(client)
            await say(session, *range(20))
            await session.finish()
            assert [result.sequence for result in await rest(session)] == list(range(20))

        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(talk())
                group.create_task(client.execute(ECHO, {"n0": Text("x")}, timeout_s=10))
        assert len(signalling.signallers) == 1


def lose(link: Any, keep: Any) -> None:
    """Let the lossy channel of one end carry only some of its messages."""
    outbox = link._lossy
    send = outbox._channel.send
    outbox._channel.send = lambda message: send(message) if keep() else None


async def test_what_a_lossy_channel_loses_is_left_out_and_nothing_else() -> None:
    handler = Handler()
    rng = random.Random(7)
    quick = {"reorder_window_s": 0.02}
    async with served(handler, server=quick, stream_channel="lossy", **quick) as (client, _):
        session = await open_session(client)
        peer = client._shared.current
        assert peer is not None
        lose(peer.link, lambda: rng.random() < 0.7)
        await say(session, *range(60))
        await session.finish()
        answered = [result.sequence for result in await rest(session)]
    arrived = [received.sequence for received in handler.seen]
    assert answered == arrived
    assert 20 < len(arrived) < 60
    assert arrived == sorted(arrived)


async def test_only_chunks_and_results_travel_on_the_lossy_channel() -> None:
    """With every message on it lost, the session still opens and closes in good order."""
    handler = Handler()
    async with served(handler, stream_channel="lossy", reorder_window_s=0.02) as (client, _):
        session = await open_session(client)
        peer = client._shared.current
        assert peer is not None
        lose(peer.link, lambda: False)
        await say(session, *range(10))
        large = Binary(bytes(100_000))
        await session.send(large, node_id="n0", sequence=50)
        await session.finish()
        assert [(result.sequence, result.output) for result in await rest(session)] == [(50, large)]


async def test_the_lossy_channel_is_unordered_and_gives_up() -> None:
    async with served(stream_channel="lossy", max_retransmits=2) as (client, signalling):
        await open_session(client)
        serving = next(iter(signalling.host._peers.values()))
        assert serving is not None and serving.link._lossy is not None
        channel: Any = serving.link._lossy._channel
        assert (channel.ordered, channel.maxRetransmits, channel.protocol) == (False, 2, "lossy")
        control: Any = serving.link._control
        assert (control.ordered, control.maxRetransmits) == (False, 0)


# --- ends ------------------------------------------------------------------------------------------------


async def test_cancel_reaches_a_busy_handler(channel: str) -> None:
    handler = Handler()
    handler.busy_s = 60
    async with served(handler, stream_channel=channel) as (client, _):
        session = await open_session(client)
        await handler.entered.wait()
        reading = asyncio.create_task(session.receive())
        await asyncio.sleep(0)
        session.cancel()
        session.cancel()
        with pytest.raises(SessionClosed):
            await reading
        with pytest.raises(SessionClosed):
            await say(session, 0)
        await session.finish()
        async with asyncio.timeout(5):
            await handler.cancelled.wait()


async def test_a_cancelled_receive_loses_nothing_and_a_cancelled_send_ends_the_session() -> None:
    async with served() as (client, _):
        session = await open_session(client)
        reading = asyncio.create_task(session.receive())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        await say(session, 0)
        result = await session.receive()
        assert result is not None and result.sequence == 0
        sending = asyncio.create_task(session.send(Binary(bytes(8 * 1024 * 1024)), node_id="n0", sequence=1))
        await asyncio.sleep(0.02)
        assert not sending.done()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        with pytest.raises(SessionClosed):
            await session.receive()


async def test_a_cancel_while_another_task_sends_is_told_there_as_closed() -> None:
    async with served() as (client, _):
        session = await open_session(client)
        sending = asyncio.create_task(session.send(Binary(bytes(8 * 1024 * 1024)), node_id="n0", sequence=0))
        await asyncio.sleep(0.02)
        session.cancel()
        with pytest.raises(SessionClosed):
            await sending


async def test_the_deadline_of_a_session_ends_it_on_both_sides() -> None:
    handler = Handler()
    handler.busy_s = 60
    async with served(handler) as (client, _):
        session = await open_session(client, timeout_s=0.3)
        with pytest.raises(RemoteTimeout):
            await session.receive()
        with pytest.raises(RemoteTimeout):
            await say(session, 0)
        async with asyncio.timeout(5):
            await handler.cancelled.wait()


class Late(Handler):
    async def talk(self, session: ServerSession) -> None:
        await asyncio.sleep(60)


async def test_a_session_that_is_not_ready_in_time_was_not_executed() -> None:
    handler = Late()
    async with served(handler) as (client, _):
        with pytest.raises(RemoteTimeout, match="not ready in time") as caught:
            await open_session(client, open_timeout_s=0.2)
        assert not caught.value.maybe_executed
        async with asyncio.timeout(5):
            await handler.cancelled.wait()


@pytest.mark.parametrize("pause_s", [0.0, 0.01, 0.03, 0.1])
async def test_an_opening_that_is_cancelled_leaves_nothing(pause_s: float) -> None:
    async with served(Late()) as (client, _):
        opening = asyncio.create_task(open_session(client))
        await asyncio.sleep(pause_s)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening


class Refusing(Handler):
    """Ends a session by a refusal after its first chunk."""

    async def talk(self, session: ServerSession) -> None:
        await session.ready("s-1")
        await session.receive()
        await session.send(0, {"output": Text("0")})
        if isinstance(self.reply, BaseException):
            raise self.reply
        if isinstance(self.reply, bytes):
            await session.send_raw(self.reply)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Refusal(StatusCode.UNAVAILABLE, "no"), RemoteUnavailable),
        (Refusal(StatusCode.RESOURCE_EXHAUSTED, "no"), RemoteOverloaded),
        (None, StreamBroken),
        (b"\x07\xff", ProtocolViolation),
    ],
    ids=["unavailable", "exhausted", "end", "rubbish"],
)
async def test_a_session_that_the_server_ends_says_why_after_its_results(
    reply: Any, error: type[Exception], channel: str
) -> None:
    async with served(Refusing(reply), stream_channel=channel, reorder_window_s=0.02) as (client, _):
        session = await open_session(client)
        await say(session, 0)
        if channel == "reliable" or error not in (RemoteUnavailable, RemoteOverloaded):
            result = await session.receive()
            assert result is not None and result.sequence == 0
        with pytest.raises(error) as caught:
            while await session.receive() is not None:
                pass
        assert type(caught.value) is error
        if isinstance(caught.value, StreamBroken):
            assert caught.value.last_sequence == 0
        with pytest.raises(error):
            await say(session, 1)


async def test_a_session_ends_with_its_peer_and_knows_its_last_answer() -> None:
    async with served() as (client, signalling):
        session = await open_session(client)
        await say(session, 0, 1)
        assert [(await session.receive()) is not None for _ in range(2)] == [True, True]
        await signalling.host.close()
        with pytest.raises(StreamBroken) as caught:
            await session.receive()
        assert caught.value.last_sequence == 1
        assert isinstance(caught.value, ConnectionLost)


async def test_a_chunk_that_is_too_large_ends_the_session_as_a_wrong_request() -> None:
    async with served(max_message_bytes=1000) as (client, _):
        session = await open_session(client)
        with pytest.raises(InvalidRequest, match="too large"):
            await session.send(Binary(bytes(2000)), node_id="n0", sequence=0)
        with pytest.raises(InvalidRequest):
            await session.receive()


async def test_a_caller_that_outruns_the_handler_is_told_before_the_memory_is_full() -> None:
    handler = Handler()
    handler.busy_s = 60
    async with served(handler, server={"max_message_bytes": 100_000}) as (client, _):
        session = await open_session(client)
        with pytest.raises(RemoteOverloaded, match="not read"):
            for n in range(100):
                await session.send(Binary(bytes(50_000)), node_id="n0", sequence=n)
                await asyncio.sleep(0)
            await session.receive()
        async with asyncio.timeout(5):
            await handler.cancelled.wait()
