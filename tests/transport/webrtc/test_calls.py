"""The caller's end of the multiplexer, with a link of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from aiortc.exceptions import InvalidStateError

from rpe.errors import (
    ConnectionLost,
    InvalidRequest,
    ProtocolViolation,
    RemoteOverloaded,
    RemoteUnavailable,
    RpeError,
    StreamBroken,
)
from rpe.transport.serving import StatusCode
from rpe.transport.webrtc.calls import Calls, HealthCall, StreamCall, UnaryCall
from rpe.transport.webrtc.control import Reset, going_away
from rpe.transport.webrtc.framing import (
    FRAGMENT,
    LAST,
    SERVING,
    Frame,
    FrameType,
    FramingError,
    decode,
    encode,
    split,
)
from rpe.transport.webrtc.link import Death
from rpe.transport.webrtc.reorder import Reorder

ENDPOINT = "a:1"


class Wire:
    """Keeps what was sent."""

    def __init__(self) -> None:
        self.limit = 65536
        self.death: Death | None = None
        self.error: Exception | None = None
        self.sent: list[bytes] = []
        self.resets: list[int] = []
        self.dropped: list[int] = []

    def write(
        self, call: int, messages: Iterator[bytes], *, lossy: bool = False
    ) -> asyncio.Future[None] | None:
        if self.error is not None:
            raise self.error
        self.sent += messages
        return None

    def reset(self, call: int, payload: bytes) -> None:
        assert Reset.decode(payload).status is StatusCode.CANCELLED
        self.resets.append(call)

    def drop(self, call: int) -> None:
        self.dropped.append(call)

    def die(self, reason: str, *, violation: bool = False) -> None:
        raise AssertionError("the calls decide over calls")


def made() -> tuple[Wire, Calls]:
    wire = Wire()
    return wire, Calls(wire, ENDPOINT)


def arrive(calls: Calls, *messages: bytes, lossy: bool = False) -> None:
    for message in messages:
        for frame in decode(message):
            calls.frame(frame, lossy)


def answer(number: int, payload: bytes, index: int = 0) -> bytes:
    return encode(FrameType.MESSAGE, number, index, payload, LAST)


async def test_answers_find_their_calls_in_whatever_order_they_come() -> None:
    wire, calls = made()
    unary = [UnaryCall(100) for _ in range(3)]
    numbers = [calls.add(call) for call in unary]
    assert numbers == [1, 2, 3]
    arrive(calls, answer(3, b"c"), answer(1, b"a"))
    arrive(calls, encode(FrameType.MESSAGE, 2, 0, b"b"), encode(FrameType.END, 2, 1))
    assert [await call.answer for call in unary] == [b"a", b"b", b"c"]
    assert len(calls) == 0
    for number in numbers:
        calls.forget(number)
    assert wire.resets == []


async def test_a_call_that_is_given_up_is_reset_once_and_its_late_answer_left_alone() -> None:
    wire, calls = made()
    number = calls.add(UnaryCall(100))
    calls.forget(number)
    calls.forget(number)
    assert wire.resets == [number]
    arrive(calls, answer(number, b"late"), encode(FrameType.RESET, number, payload=b"{}"))


VIOLATIONS = {
    "no answer": [encode(FrameType.END, 1, 0)],
    "two answers": [encode(FrameType.MESSAGE, 1, 0, b"a"), encode(FrameType.MESSAGE, 1, 1, b"b")],
    "a wrong number": [encode(FrameType.MESSAGE, 1, 1, b"a")],
    "an early end": [encode(FrameType.MESSAGE, 1, 0, b"a"), encode(FrameType.END, 1, 2)],
    "a pong": [encode(FrameType.PONG, 1)],
    "a reset of rubbish": [encode(FrameType.RESET, 1, payload=b"no")],
}


@pytest.mark.parametrize("messages", VIOLATIONS.values(), ids=VIOLATIONS.keys())
async def test_a_violation_ends_the_call_and_no_other(messages: list[bytes]) -> None:
    wire, calls = made()
    call, other = UnaryCall(100), UnaryCall(100)
    calls.add(call)
    calls.add(other)
    arrive(calls, *messages)
    with pytest.raises(ProtocolViolation) as caught:
        await call.answer
    assert caught.value.endpoint == ENDPOINT
    assert wire.resets == [1]
    arrive(calls, answer(2, b"fine"))
    assert await other.answer == b"fine"


@pytest.mark.parametrize(
    "message",
    [
        encode(FrameType.OPEN, 1, payload=b'{"kind":"execute"}'),
        encode(FrameType.PING, 1),
        encode(FrameType.MESSAGE, 9, 0, b"a"),
        encode(FrameType.RESET, 9, payload=b'{"status":"internal"}'),
    ],
    ids=["open", "ping", "message of no call", "reset of no call"],
)
async def test_what_a_server_never_sends_is_told_to_the_link(message: bytes) -> None:
    _, calls = made()
    calls.add(UnaryCall(100))
    with pytest.raises(FramingError):
        arrive(calls, message)


async def test_an_answer_that_is_too_large_is_not_tried_again() -> None:
    _, calls = made()
    call = UnaryCall(100)
    calls.add(call)
    arrive(calls, *split(1, 0, bytes(3000), limit=1024))
    with pytest.raises(ProtocolViolation, match="too large") as caught:
        await call.answer
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("reset", "error", "maybe_executed"),
    [
        (Reset(StatusCode.UNAVAILABLE, "no"), RemoteUnavailable, True),
        (Reset(StatusCode.UNAVAILABLE, "no", untouched=True), RemoteUnavailable, False),
        (Reset(StatusCode.UNAVAILABLE, "no", 0.25), RemoteOverloaded, False),
        (Reset(StatusCode.RESOURCE_EXHAUSTED, "no", -1.0), RemoteOverloaded, False),
        (Reset(StatusCode.CANCELLED, "no"), ConnectionLost, True),
    ],
)
async def test_a_reset_becomes_the_error_it_means(
    reset: Reset, error: type[RpeError], maybe_executed: bool
) -> None:
    wire, calls = made()
    call = UnaryCall(100)
    calls.add(call)
    arrive(calls, encode(FrameType.RESET, 1, payload=reset.encode()))
    with pytest.raises(error, match="no") as caught:
        await call.answer
    assert type(caught.value) is error
    assert caught.value.maybe_executed is maybe_executed
    if isinstance(caught.value, RemoteOverloaded):
        assert caught.value.retry_after_s == reset.retry_after_s
    assert wire.resets == []
    assert wire.dropped == [1]


async def test_secrets_that_a_server_repeats_are_not_passed_on() -> None:
    _, calls = made()
    call = UnaryCall(100)
    calls.add(call)
    reset = Reset(StatusCode.UNAUTHENTICATED, "bad header: Bearer s3cret")
    arrive(calls, encode(FrameType.RESET, 1, payload=reset.encode()))
    with pytest.raises(RpeError) as caught:
        await call.answer
    assert "s3cret" not in str(caught.value)


async def test_the_death_of_a_link_is_that_of_its_calls() -> None:
    wire, calls = made()
    unary, stream = UnaryCall(100), StreamCall(100)
    calls.add(unary)
    calls.add(stream)
    arrive(calls, encode(FrameType.MESSAGE, 2, 0, b"before"))
    wire.death = Death("it is silent")
    calls.died(wire.death)
    assert not calls.usable
    with pytest.raises(ConnectionLost, match="it is silent"):
        await unary.answer
    assert await stream.read() == b"before"
    with pytest.raises(ConnectionLost):
        await stream.read()
    wire.error = InvalidStateError()
    with pytest.raises(ConnectionLost, match="it is silent"):
        calls.write(calls.add(UnaryCall(100)), iter((b"x",)))
    wire.death = Death("rubbish", violation=True)
    with pytest.raises(ProtocolViolation, match="rubbish"):
        calls.write(3, iter((b"x",)))


async def test_what_the_other_end_does_not_take_is_a_wrong_request() -> None:
    wire, calls = made()
    wire.error = ValueError("Cannot send message of 9 bytes")
    with pytest.raises(InvalidRequest, match="too large"):
        calls.write(calls.add(UnaryCall(100)), iter((b"x",)))


async def test_a_server_that_goes_away_takes_no_more_but_ends_what_it_has() -> None:
    _, calls = made()
    call = UnaryCall(100)
    calls.add(call)
    arrive(calls, encode(FrameType.RESET, 0, payload=going_away().encode()))
    assert not calls.usable
    idle = asyncio.create_task(calls.wait_idle())
    await asyncio.sleep(0)
    assert not idle.done()
    arrive(calls, answer(1, b"done"))
    assert await call.answer == b"done"
    await idle


async def test_health_is_answered_by_a_pong_and_nothing_else() -> None:
    _, calls = made()
    asked = [HealthCall() for _ in range(3)]
    for call in asked:
        calls.add(call)
    arrive(calls, encode(FrameType.PONG, 1, flags=SERVING), encode(FrameType.PONG, 2))
    assert await asked[0].answer is True
    assert await asked[1].answer is None
    arrive(calls, answer(3, b"what"))
    with pytest.raises(ProtocolViolation):
        await asked[2].answer


# --- streams ---------------------------------------------------------------------------------------------


async def test_a_reader_waits_and_gets_everything_in_order() -> None:
    _, calls = made()
    stream = StreamCall(1000)
    calls.add(stream)
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    arrive(calls, encode(FrameType.MESSAGE, 1, 0, b"a"), encode(FrameType.MESSAGE, 1, 1, b"b"))
    assert await reading == b"a"
    arrive(calls, encode(FrameType.END, 1, 2))
    assert [await stream.read(), await stream.read(), await stream.read()] == [b"b", None, None]


async def test_a_cancelled_read_loses_nothing() -> None:
    _, calls = made()
    stream = StreamCall(1000)
    calls.add(stream)
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    arrive(calls, encode(FrameType.MESSAGE, 1, 0, b"a"))
    reading.cancel()
    await asyncio.wait([reading])
    assert await stream.read() == b"a"


async def test_results_that_nobody_reads_end_the_call_before_they_fill_the_memory() -> None:
    wire, calls = made()
    stream = StreamCall(100)
    calls.add(stream)
    for index in range(3):
        arrive(calls, encode(FrameType.MESSAGE, 1, index, bytes(80)))
    assert wire.resets == [1]
    assert await stream.read() == await stream.read() == bytes(80)
    with pytest.raises(StreamBroken, match="160 bytes"):
        await stream.read()


async def test_a_lossy_stream_is_put_in_order_and_does_not_wait_for_ever() -> None:
    _, calls = made()
    stream = StreamCall(1000, Reorder(0.02))
    calls.add(stream)
    arrive(calls, encode(FrameType.MESSAGE, 1, 0, b"ready"))
    arrive(calls, encode(FrameType.MESSAGE, 1, 2, b"2"), encode(FrameType.MESSAGE, 1, 1, b"1"), lossy=True)
    arrive(calls, encode(FrameType.MESSAGE, 1, 4, b"4"), lossy=True)
    arrive(calls, answer(1, b"closed", 6))
    read = [await stream.read() for _ in range(6)]
    assert read == [b"ready", b"1", b"2", b"4", b"closed", None]


async def test_a_lossy_channel_carries_nothing_but_whole_messages_of_lossy_calls() -> None:
    _, calls = made()
    strict, lossy = StreamCall(1000), StreamCall(1000, Reorder(0.02))
    calls.add(strict)
    calls.add(lossy)
    arrive(calls, encode(FrameType.MESSAGE, 1, 0, b"a"), lossy=True)
    calls.frame(Frame(FrameType.MESSAGE, FRAGMENT, 2, 0, b"ab", 0, 4), True)
    for stream in (strict, lossy):
        with pytest.raises(ProtocolViolation, match="does not belong there"):
            await stream.read()
