"""The server's end of the multiplexer: calls that end before their task has taken a step."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from rpe.data import Text
from rpe.manifest.model import Manifest
from rpe.transport.serving import StatusCode
from rpe.transport.webrtc.control import Opening, Reset, cancelled
from rpe.transport.webrtc.framing import LAST, FrameType, decode, encode
from rpe.transport.webrtc.requests import init_bytes
from rpe.transport.webrtc.serving_calls import ServedCalls
from rpe.transport.webrtc.settings import WebrtcServerSettings
from rpe.wire.generated.remotemedia.v1 import streaming_pb2
from tests.support.handlers import Handler

INIT = init_bytes(Manifest.single("echo", node_type="Echo"), {"echo": Text("x")})
CANCEL = streaming_pb2.StreamRequest(
    control=streaming_pb2.StreamControl(command=streaming_pb2.StreamControl.COMMAND_CANCEL)
).SerializeToString()


class Way:
    """Keeps what was sent to the caller."""

    limit = 65536
    has_lossy = False

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.resets: dict[int, StatusCode] = {}

    def write(self, call: int, messages: Iterator[bytes], *, lossy: bool = False) -> None:
        self.sent += messages

    def post(self, message: bytes) -> None:
        self.sent.append(message)

    def reset(self, call: int, payload: bytes) -> None:
        self.resets[call] = Reset.decode(payload).status


def served() -> tuple[ServedCalls, Way, Handler]:
    way, handler = Way(), Handler()
    unused: Any = None
    link: Any = way
    calls = ServedCalls(link, handler, WebrtcServerSettings(), "here:1", {}, unused, lambda: None)
    return calls, way, handler


def take(calls: ServedCalls, *frames: bytes) -> None:
    for frame in decode(b"".join(frames)):
        calls.frame(frame, lossy=False)


async def finished(calls: ServedCalls) -> None:
    while calls.tasks:
        await asyncio.wait(calls.tasks)
        await asyncio.sleep(0)


async def test_a_call_is_answered() -> None:
    calls, way, handler = served()
    opening = Opening("execute", 5000).encode()
    take(calls, encode(FrameType.OPEN, 1, 0, opening), encode(FrameType.MESSAGE, 1, 0, INIT, LAST))
    await finished(calls)
    assert [call.method for call in handler.calls] == ["execute"]
    assert len(way.sent) == 1


async def test_a_call_that_is_taken_back_at_once_leaves_nothing() -> None:
    calls, way, handler = served()
    opening = Opening("execute", 5000).encode()
    take(
        calls,
        encode(FrameType.OPEN, 1, 0, opening),
        encode(FrameType.MESSAGE, 1, 0, INIT, LAST),
        encode(FrameType.RESET, 1, 0, cancelled().encode()),
    )
    await finished(calls)
    assert (handler.calls, way.sent, way.resets) == ([], [], {})
    assert calls._calls == {}


async def test_a_session_that_is_cancelled_at_once_is_told_so() -> None:
    calls, way, handler = served()
    take(
        calls,
        encode(FrameType.OPEN, 1, 0, Opening("stream").encode()),
        encode(FrameType.MESSAGE, 1, 0, CANCEL),
    )
    await finished(calls)
    assert handler.calls == []
    assert way.resets == {1: StatusCode.CANCELLED}
    assert calls._calls == {}
