"""Frames that are not of this protocol: the call is reset, or the peer lost, and nothing else is harmed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rpe.data import Text
from rpe.transport.serving import StatusCode
from rpe.transport.webrtc.control import Opening, Reset
from rpe.transport.webrtc.framing import FRAGMENT, LAST, Frame, FrameType, decode, encode, split
from rpe.transport.webrtc.link import CONTROL_LABEL, PIPELINE_LABEL
from rpe.transport.webrtc.requests import init_bytes
from rpe.wire.generated.remotemedia.v1 import streaming_pb2
from tests.support.handlers import Handler
from tests.support.webrtc import (
    ECHO,
    RawPeer,
    none_left,
    others,
    peers,
    raw_peer,
    sockets,
    until,
)

PATIENCE_S = 10.0


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    before, tasks = sockets(), others()
    yield
    assert others() - tasks == set()
    await none_left(before)


def opening(number: int, kind: Any = "execute", **details: Any) -> bytes:
    return encode(FrameType.OPEN, number, payload=Opening(kind, 5000, **details).encode())


def request(number: int, said: str = "x") -> bytes:
    payload = init_bytes(ECHO, {"n0": Text(said)})
    (message,) = split(number, 0, payload, limit=65536, head=opening(number), last=True)
    return message


async def reset_of(peer: RawPeer, number: int) -> Reset:
    (frame,) = await peer.frames()
    assert (frame.kind, frame.call) == (FrameType.RESET, number)
    return Reset.decode(frame.payload)


async def answered(peer: RawPeer, number: int, said: str) -> None:
    peer.channel.send(request(number, said))
    (frame,) = await peer.frames()
    assert (frame.kind, frame.call, frame.flags) == (FrameType.MESSAGE, number, LAST)
    response = streaming_pb2.StreamResponse.FromString(frame.payload)
    assert response.result.data_outputs["output"].text.text_data.decode() == said


FIRST = Frame(FrameType.MESSAGE, FRAGMENT, 1, 0, b"abcd", 0, 12)


def fragment(at: int, total: int = 12, number: int = 0) -> bytes:
    whole = next(iter(split(1, number, bytes(2000), limit=1024)))
    header = bytearray(whole[:22])
    header[6:10] = number.to_bytes(4, "big")
    header[10:14] = (4).to_bytes(4, "big")
    header[14:18] = at.to_bytes(4, "big")
    header[18:22] = total.to_bytes(4, "big")
    return bytes(header) + b"abcd"


def test_the_fragments_of_these_tests_are_what_they_say() -> None:
    assert decode(fragment(4)) == [Frame(FrameType.MESSAGE, FRAGMENT, 1, 0, b"abcd", 4, 12)]


BROKEN_CALLS: dict[str, list[bytes]] = {
    "an opening of rubbish": [encode(FrameType.OPEN, 1, payload=b"{")],
    "an opening of no kind": [encode(FrameType.OPEN, 1, payload=json.dumps({"kind": "x"}).encode())],
    "no request": [opening(1), encode(FrameType.END, 1, 0)],
    "two requests": [opening(1), encode(FrameType.MESSAGE, 1, 0), encode(FrameType.MESSAGE, 1, 1)],
    "a missing fragment": [opening(1), fragment(0), fragment(8)],
    "a doubled fragment": [opening(1), fragment(0), fragment(0)],
    "fragments out of order": [opening(1), fragment(4), fragment(0)],
    "a changed total": [opening(1), fragment(0), fragment(4, 16)],
    "an end inside a message": [opening(1), fragment(0), encode(FrameType.END, 1, 1)],
    "a message that is too large": [opening(1), fragment(0, 2**31)],
    "a wrong number": [opening(1), encode(FrameType.MESSAGE, 1, 7, b"x")],
    "a call that was never opened": [encode(FrameType.MESSAGE, 1, 0, b"x")],
    "an end of a call that was never opened": [encode(FrameType.END, 1, 0)],
    "a reset of rubbish": [opening(1), encode(FrameType.RESET, 1, payload=b"?")],
    "an unknown message": [opening(1), encode(FrameType.MESSAGE, 1, 0, b"\x07\xff", LAST)],
    "no init": [opening(1), encode(FrameType.MESSAGE, 1, 0, b"", LAST)],
    "a number that was used": [opening(1, "stream"), opening(1)],
    "a session of rubbish": [opening(1, "stream"), fragment(4)],
}


@pytest.mark.parametrize("messages", BROKEN_CALLS.values(), ids=BROKEN_CALLS.keys())
async def test_a_broken_call_is_reset_and_the_next_one_works(messages: list[bytes]) -> None:
    handler = Handler()
    async with peers(handler) as signalling, raw_peer(signalling, PIPELINE_LABEL) as peer:
        for message in messages:
            peer.channel.send(message)
        reset = await reset_of(peer, 1)
        assert reset.status in (
            StatusCode.INVALID_ARGUMENT,
            StatusCode.FAILED_PRECONDITION,
            StatusCode.INTERNAL,
        )
        assert reset.message
        assert handler.seen == []
        await answered(peer, 2, "still here")


async def test_resets_of_calls_that_are_not_there_are_left_alone() -> None:
    async with peers(Handler()) as signalling, raw_peer(signalling, PIPELINE_LABEL) as peer:
        peer.channel.send(encode(FrameType.RESET, 50, payload=b'{"status": "cancelled"}'))
        peer.channel.send(encode(FrameType.RESET, 0, payload=b'{"status": "cancelled"}'))
        await answered(peer, 1, "a")
        peer.channel.send(encode(FrameType.RESET, 1, payload=b'{"status": "cancelled"}'))
        peer.channel.send(encode(FrameType.END, 1, 1))
        await answered(peer, 2, "b")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x00",
        b"\xff" * 40,
        "text",
        encode(FrameType.PONG, 1),
        request(1)[:-1],
        b"\x21" + request(1)[1:],
        encode(FrameType.PING, 0),
    ],
    ids=["empty", "short", "rubbish", "text", "pong", "cut", "version", "ping 0"],
)
async def test_a_caller_that_loses_the_framing_loses_the_peer(message: Any) -> None:
    async with peers(Handler()) as signalling, raw_peer(signalling, PIPELINE_LABEL) as peer:
        peer.channel.send(message)
        async with asyncio.timeout(PATIENCE_S):
            await peer.closed.wait()
        await until(lambda: list(signalling.host._peers.values()) == [None])


async def test_a_second_pipeline_channel_is_closed_and_does_no_harm() -> None:
    async with peers(Handler()) as signalling, raw_peer(signalling, PIPELINE_LABEL) as peer:
        second = peer.connection.createDataChannel(PIPELINE_LABEL)
        closed = asyncio.Event()
        second.on("close", closed.set)
        async with asyncio.timeout(PATIENCE_S):
            await closed.wait()
        await answered(peer, 1, "still here")


async def test_what_is_not_understood_on_the_control_channel_is_left_alone() -> None:
    async with peers(Handler()) as signalling, raw_peer(signalling, PIPELINE_LABEL) as peer:
        control = RawPeer(peer.connection, peer.connection.createDataChannel(CONTROL_LABEL))
        opened = asyncio.Event()
        control.channel.on("open", opened.set)
        async with asyncio.timeout(PATIENCE_S):
            await opened.wait()
        for message in ("hello", b"\xff\xff", encode(FrameType.OPEN, 3), encode(FrameType.PONG, 0, 77)):
            control.channel.send(message)
        control.channel.send(encode(FrameType.PING, 0, 5))
        while True:
            (frame,) = await control.frames()
            if frame.kind is FrameType.PONG:
                break
        assert (frame.call, frame.number) == (0, 5)
        await answered(peer, 1, "still here")


async def test_a_lossy_message_needs_a_lossy_session() -> None:
    handler = Handler()
    async with peers(handler) as signalling, raw_peer(signalling, PIPELINE_LABEL) as peer:
        lossy = peer.connection.createDataChannel(
            PIPELINE_LABEL, ordered=False, maxRetransmits=0, protocol="lossy"
        )
        opened = asyncio.Event()
        lossy.on("open", opened.set)
        async with asyncio.timeout(PATIENCE_S):
            await opened.wait()
        peer.channel.send(opening(1, "stream") + encode(FrameType.MESSAGE, 1, 0, init_bytes(ECHO, {})))
        (ready,) = await peer.frames()
        assert ready.kind is FrameType.MESSAGE
        lossy.send(encode(FrameType.MESSAGE, 1, 1, b"x"))
        reset = await reset_of(peer, 1)
        assert reset.status is StatusCode.FAILED_PRECONDITION
        await answered(peer, 2, "still here")


class Busy(Handler):
    """Is busy with a session, and does not read."""

    async def wait(self) -> None:
        self.entered.set()
        await asyncio.get_running_loop().create_future()


async def test_a_cancel_command_reaches_a_handler_that_is_busy() -> None:
    handler = Busy()
    command = streaming_pb2.StreamControl(command=streaming_pb2.StreamControl.COMMAND_CANCEL)
    cancel = streaming_pb2.StreamRequest(control=command).SerializeToString()
    async with peers(handler) as signalling, raw_peer(signalling, PIPELINE_LABEL) as peer:
        peer.channel.send(opening(1, "stream") + encode(FrameType.MESSAGE, 1, 0, init_bytes(ECHO, {})))
        (ready,) = await peer.frames()
        assert ready.kind is FrameType.MESSAGE
        await handler.entered.wait()
        peer.channel.send(encode(FrameType.MESSAGE, 1, 1, cancel))
        reset = await reset_of(peer, 1)
        assert (reset.status, reset.message) == (StatusCode.CANCELLED, "the caller cancelled the session")
        assert handler.cancelled.is_set()


async def test_a_deadline_ends_a_call_at_the_server_too() -> None:
    handler = Busy()
    async with peers(handler) as signalling, raw_peer(signalling, PIPELINE_LABEL) as peer:
        soon = encode(FrameType.OPEN, 1, payload=Opening("stream", 100).encode())
        peer.channel.send(soon + encode(FrameType.MESSAGE, 1, 0, init_bytes(ECHO, {})))
        (ready,) = await peer.frames()
        assert ready.kind is FrameType.MESSAGE
        assert (await reset_of(peer, 1)).status is StatusCode.DEADLINE_EXCEEDED
        assert handler.cancelled.is_set()
