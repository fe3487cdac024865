"""Plain mode: our client against a server of bare aiortc, and our server against a client of bare aiortc."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiortc import RTCDataChannel

from rpe.data import Binary, RuntimeData, Text
from rpe.errors import (
    ConnectFailed,
    ConnectionLost,
    DataValidationError,
    InvalidRequest,
    ProtocolViolation,
    RemoteTimeout,
    SessionClosed,
    StreamBroken,
)
from rpe.manifest.model import Manifest
from rpe.transport.ports import ServingStatus
from rpe.transport.serving import (
    Answer,
    ApplicationError,
    ConnectionCut,
    Damage,
    ErrorType,
    Refusal,
    ServerSession,
    StatusCode,
)
from rpe.transport.webrtc.ice import close_connection
from rpe.transport.webrtc.plain import PlainPipelineClient
from rpe.transport.webrtc.settings import WebrtcSettings
from rpe.wire.generated.remotemedia.v1.common_pb2 import DataBuffer
from rpe.wire.protobuf import decode, encode
from tests.support.handlers import Handler
from tests.support.plain_server import RawServer, against, echo, run
from tests.support.webrtc import (
    ECHO,
    LocalSignalling,
    RawPeer,
    ScriptedSignaller,
    none_left,
    others,
    peers,
    raw_peer,
    sockets,
    until,
)


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    before, tasks = sockets(), others()
    yield
    assert others() - tasks == set()
    await none_left(before)


def wire(data: RuntimeData) -> bytes:
    return encode(data).SerializeToString()


def read(message: bytes) -> RuntimeData:
    return decode(DataBuffer.FromString(message))


# --- our client ------------------------------------------------------------------------------------------


async def test_a_call_is_one_buffer_and_the_next_output_is_its_answer() -> None:
    async with against(echo) as (client, server):
        assert await run(client, Text("hi")) == Text("hi")
        assert await run(client, Binary(bytes(100_000))) == Binary(bytes(100_000))
        assert (await client.check_health(timeout_s=5)).status is ServingStatus.SERVING
        assert (await client.get_version(timeout_s=5)).compatible
    assert server.labels == ["data"]


async def test_calls_that_begin_at_once_go_one_at_a_time_and_get_their_own_answers() -> None:
    waiting = 0

    def slowly(channel: RTCDataChannel, message: Any) -> None:
        nonlocal waiting
        waiting += 1
        assert waiting == 1

        def answer() -> None:
            nonlocal waiting
            waiting -= 1
            channel.send(message)

        asyncio.get_running_loop().call_later(0.005, answer)

    async with against(slowly) as (client, _):
        answers = await asyncio.gather(*(run(client, Text(f"{n}")) for n in range(10)))
    assert answers == [Text(f"{n}") for n in range(10)]


async def test_the_late_answer_to_a_call_that_was_given_up_is_not_that_of_the_next() -> None:
    def late(channel: RTCDataChannel, message: Any) -> None:
        def answer() -> None:
            if channel.readyState == "open":
                channel.send(message)

        delay_s = 0.2 if read(message) == Text("slow") else 0.0
        asyncio.get_running_loop().call_later(delay_s, answer)

    async with against(late) as (client, server):
        with pytest.raises(RemoteTimeout) as caught:
            await run(client, Text("slow"), timeout_s=0.1)
        assert caught.value.maybe_executed
        assert await run(client, Text("quick")) == Text("quick")
        await asyncio.sleep(0.15)
        assert await run(client, Text("quicker")) == Text("quicker")
        assert server.labels == ["data", "data"]


async def test_waiting_for_a_turn_draws_on_the_deadline_and_executes_nothing() -> None:
    async with against(lambda *_: None) as (client, _):
        first = asyncio.create_task(run(client, Text("a"), timeout_s=1.0))
        await asyncio.sleep(0.2)
        with pytest.raises(RemoteTimeout, match="no turn") as caught:
            await run(client, Text("b"), timeout_s=0.1)
        assert not caught.value.maybe_executed
        first.cancel()
        await asyncio.wait([first])


@pytest.mark.parametrize("answer", [b"\x07\xff", "text", wire(Text("x"))[:-1], b""])
async def test_what_is_no_buffer_is_a_violation(answer: Any) -> None:
    async with against(lambda channel, _: channel.send(answer)) as (client, server):
        with pytest.raises(ProtocolViolation):
            await run(client, Text("x"))
        server.reply = echo
        assert await run(client, Text("y")) == Text("y")


async def test_what_the_server_does_not_take_is_a_wrong_request() -> None:
    async with against(echo) as (client, _):
        with pytest.raises(InvalidRequest, match="too large"):
            await run(client, Binary(bytes(300_000)))
        with pytest.raises(InvalidRequest, match="one input"):
            await client.execute(ECHO, {"a": Text("x"), "b": Text("y")}, timeout_s=5)
        assert await run(client, Text("small")) == Text("small")


async def test_a_channel_that_the_server_closes_is_a_lost_call_and_the_next_opens_another() -> None:
    async with against(lambda channel, _: channel.close()) as (client, server):
        with pytest.raises(ConnectionLost):
            await run(client, Text("x"))
        server.reply = echo
        assert await run(client, Text("y")) == Text("y")
        await close_connection(server.connection)
        await until(lambda: client._shared.current is None)


async def test_a_server_that_is_not_there_is_given_up() -> None:
    async def answer(sdp: str) -> str:
        server = RawServer(echo)
        text = await server.answer(sdp)
        await close_connection(server.connection)
        return text

    settings = WebrtcSettings(mode="plain", connect_timeout_s=0.3)
    client = PlainPipelineClient("127.0.0.1:1", settings, connect=ScriptedSignaller(answer).connect())
    with pytest.raises(ConnectFailed):
        await run(client, Text("x"))
    await client.close()


async def test_a_session_numbers_its_outputs_by_its_chunks() -> None:
    async with against(echo) as (client, server):
        session = await client.open_stream(ECHO, timeout_s=10, open_timeout_s=5)
        for sequence in (0, 1, 5):
            await session.send(Text(f"{sequence}"), node_id="n0", sequence=sequence)
        with pytest.raises(DataValidationError, match="sequence"):
            await session.send(Text("x"), node_id="n0", sequence=5)
        assert await run(client, Text("beside")) == Text("beside")
        await session.finish()
        results = [await session.receive() for _ in range(4)]
        assert [result and (result.sequence, result.output) for result in results] == [
            (0, Text("0")),
            (1, Text("1")),
            (5, Text("5")),
            None,
        ]
        with pytest.raises(SessionClosed):
            await session.send(Text("x"), node_id="n0", sequence=9)
        assert server.labels == ["data", "data"]


async def test_a_session_ends_with_its_channel_its_deadline_or_a_cancel() -> None:
    async with against(lambda *_: None) as (client, server):
        cut = await client.open_stream(ECHO, timeout_s=10, open_timeout_s=5)
        server.channels[-1].close()
        with pytest.raises(StreamBroken):
            await cut.receive()
        late = await client.open_stream(ECHO, timeout_s=0.2, open_timeout_s=5)
        with pytest.raises(RemoteTimeout):
            await late.receive()
        cancelled = await client.open_stream(ECHO, timeout_s=10, open_timeout_s=5)
        cancelled.cancel()
        cancelled.cancel()
        with pytest.raises(SessionClosed):
            await cancelled.receive()
        await until(lambda: all(channel.readyState == "closed" for channel in server.channels[1:]))


# --- our server ------------------------------------------------------------------------------------------


@asynccontextmanager
async def plain(handler: Any, **settings: Any) -> AsyncIterator[tuple[RawPeer, LocalSignalling]]:
    async with peers(handler, **settings) as signalling, raw_peer(signalling, "data") as peer:
        yield peer, signalling


async def test_chunks_are_numbered_as_they_come_and_meet_the_servers_own_manifest() -> None:
    handler = Handler()
    manifest = Manifest.single("own", node_type="Reverse")
    async with plain(handler, manifest=manifest) as (peer, _):
        for n in range(3):
            peer.channel.send(wire(Text(f"{n}")))
            assert read(await peer.message()) == Text(f"{n}")
    assert [(chunk.node_id, chunk.sequence, chunk.data) for chunk in handler.seen] == [
        ("own", n, Text(f"{n}")) for n in range(3)
    ]
    admission, call = handler.calls
    assert (admission.method, call.method) == ("connect", "stream")


async def test_a_plain_peer_outlives_its_signalling() -> None:
    async with plain(Handler()) as (peer, signalling):
        peer.channel.send(wire(Text("a")))
        assert read(await peer.message()) == Text("a")
        await signalling.lose()
        await asyncio.sleep(0.1)
        peer.channel.send(wire(Text("b")))
        assert read(await peer.message()) == Text("b")


class Several(Handler):
    async def talk(self, session: ServerSession) -> None:
        self.seen.append((session.manifest.nodes[0].node_type, session.inputs))
        await session.ready("s")
        await session.receive()
        await session.send(0, {"a": Text("1"), "b": Text("2")})
        await session.send_metrics(1, 1.0)
        await session.closed()


async def test_each_output_is_a_message_and_nothing_else_is_sent() -> None:
    handler = Several()
    async with plain(handler) as (peer, _):
        peer.channel.send(wire(Text("x")))
        assert [read(await peer.message()) for _ in range(2)] == [Text("1"), Text("2")]
        async with asyncio.timeout(5):
            await peer.closed.wait()
        assert peer.messages.empty()
    assert handler.seen == [("Echo", {})]


async def test_two_channels_are_two_sessions() -> None:
    handler = Handler()
    async with plain(handler) as (peer, _):
        other = RawPeer(peer.connection, peer.connection.createDataChannel("anything"))
        opened = asyncio.Event()
        other.channel.on("open", opened.set)
        async with asyncio.timeout(5):
            await opened.wait()
        other.channel.send(wire(Text("other")))
        peer.channel.send(wire(Text("first")))
        assert read(await other.message()) == Text("other")
        assert read(await peer.message()) == Text("first")
    assert [chunk.sequence for chunk in handler.seen] == [0, 0]


@pytest.mark.parametrize("message", [b"\x07\xff", "text", b""])
async def test_what_is_no_buffer_ends_the_channel(message: Any) -> None:
    async with plain(Handler()) as (peer, _):
        peer.channel.send(message)
        async with asyncio.timeout(5):
            await peer.closed.wait()


class Ending(Handler):
    async def talk(self, session: ServerSession) -> None:
        await session.receive()
        if isinstance(self.reply, ApplicationError):
            await session.send_error(self.reply)
        elif isinstance(self.reply, Answer):
            await session.send(0, self.reply.outputs, damage=self.reply.damage)
        elif isinstance(self.reply, BaseException):
            raise self.reply


@pytest.mark.parametrize(
    "reply",
    [
        ApplicationError(ErrorType.INTERNAL, "no"),
        Refusal(StatusCode.UNAVAILABLE, "no"),
        RuntimeError("a mistake"),
        None,
    ],
    ids=["error", "refusal", "mistake", "end"],
)
async def test_whatever_ends_the_session_closes_the_channel(reply: Any) -> None:
    async with plain(Ending(reply)) as (peer, _):
        peer.channel.send(wire(Text("x")))
        async with asyncio.timeout(5):
            await peer.closed.wait()
        assert peer.messages.empty()


async def test_a_cut_breaks_the_connection_without_a_goodbye() -> None:
    async with plain(Ending(ConnectionCut())) as (peer, signalling):
        peer.channel.send(wire(Text("x")))
        async with asyncio.timeout(5):
            await signalling.guests[0].lost.wait()
        await asyncio.sleep(0.1)
        assert not peer.closed.is_set()


@pytest.mark.parametrize("damage", [Damage.TRUNCATED, Damage.BAD_UTF8, Damage.SHORT_AUDIO, Damage.EMPTY])
async def test_a_damaged_output_cannot_be_read(damage: Damage) -> None:
    async with plain(Ending(Answer({"output": Text("x" * 20)}, damage=damage))) as (peer, _):
        peer.channel.send(wire(Text("x")))
        message = await peer.message()
        with pytest.raises(Exception):  # noqa: B017
            read(message)


async def test_a_closed_channel_ends_the_session_in_good_order() -> None:
    handler = Handler()
    async with plain(handler) as (peer, signalling):
        peer.channel.send(wire(Text("x")))
        await peer.message()
        (serving,) = signalling.host._peers.values()
        assert serving is not None and len(serving.tasks) == 1
        peer.channel.close()
        await until(lambda: not serving.tasks and not serving._plain)
    assert not handler.cancelled.is_set()


async def test_a_caller_that_outruns_the_handler_loses_its_channel() -> None:
    handler = Handler()
    handler.busy_s = 60
    async with plain(handler, max_message_bytes=100_000) as (peer, _):
        for _ in range(10):
            peer.channel.send(wire(Binary(bytes(50_000))))
        async with asyncio.timeout(5):
            await peer.closed.wait()
            await handler.cancelled.wait()


async def test_both_modes_of_ours_understand_each_other() -> None:
    handler = Handler()
    async with peers(handler) as signalling:
        client = PlainPipelineClient("127.0.0.1:1", WebrtcSettings(mode="plain"), connect=signalling)
        assert await run(client, Text("hi")) == Text("hi")
        await client.close()
        await until(lambda: len(signalling.host) == 0)
