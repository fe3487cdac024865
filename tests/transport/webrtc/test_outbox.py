"""The way out of a channel: what fits goes at once, the rest in turn, and nothing is left waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from aiortc.exceptions import InvalidStateError

from rpe.transport.webrtc.outbox import HIGH_MARK_BYTES, LOW_MARK_BYTES, Outbox


class Channel:
    """Keeps what was sent until the test lets it go."""

    def __init__(self) -> None:
        self.bufferedAmountLowThreshold = 0
        self.bufferedAmount = 0
        self.sent: list[bytes] = []
        self.is_open = True
        self._low: Callable[[], None] = lambda: None

    def on(self, event: str, f: Callable[[], None]) -> None:
        assert event == "bufferedamountlow"
        self._low = f

    def send(self, data: bytes) -> None:
        if not self.is_open:
            raise InvalidStateError
        self.bufferedAmount += len(data)
        self.sent.append(data)

    def drain(self) -> None:
        """Put everything on the wire, as aiortc reports it."""
        above = self.bufferedAmount > self.bufferedAmountLowThreshold
        self.bufferedAmount = 0
        if above:
            self._low()


def parts(call: int, count: int, size: int = HIGH_MARK_BYTES) -> Iterator[bytes]:
    for n in range(count):
        yield bytes([call, n]) + bytes(size - 2)


def names(sent: list[bytes]) -> list[tuple[int, int]]:
    return [(message[0], message[1]) for message in sent]


async def test_what_fits_goes_out_at_once() -> None:
    channel = Channel()
    outbox = Outbox(channel)
    assert channel.bufferedAmountLowThreshold == LOW_MARK_BYTES
    assert outbox.write(1, parts(1, 3, 100)) is None
    assert names(channel.sent) == [(1, 0), (1, 1), (1, 2)]
    assert (outbox.sent_messages, outbox.sent_bytes) == (3, 300)


async def test_a_full_channel_is_waited_for() -> None:
    channel = Channel()
    outbox = Outbox(channel)
    waiting = outbox.write(1, parts(1, 3))
    assert waiting is not None
    assert names(channel.sent) == [(1, 0)]
    channel.drain()
    channel.drain()
    assert not waiting.done()
    channel.drain()
    assert waiting.done()
    assert names(channel.sent) == [(1, 0), (1, 1), (1, 2)]


async def test_calls_take_turns_and_each_keeps_its_order() -> None:
    channel = Channel()
    outbox = Outbox(channel)
    outbox.write(1, parts(1, 4))
    outbox.write(2, parts(2, 2))
    outbox.write(1, iter((b"\x01\x09",)))
    outbox.write(3, parts(3, 1))
    for _ in range(10):
        channel.drain()
    assert names(channel.sent) == [(1, 0), (1, 1), (2, 0), (3, 0), (1, 2), (2, 1), (1, 3), (1, 9)]


async def test_a_small_message_does_not_overtake_those_that_wait_but_a_posted_one_does() -> None:
    channel = Channel()
    outbox = Outbox(channel)
    outbox.write(1, parts(1, 2))
    small = outbox.write(2, iter((b"\x02\x00",)))
    assert small is not None
    outbox.post(b"\x07\x00")
    assert names(channel.sent) == [(1, 0), (7, 0)]
    channel.drain()
    channel.drain()
    assert small.done()


async def test_a_dropped_call_sends_no_more() -> None:
    channel = Channel()
    outbox = Outbox(channel)
    waiting = outbox.write(1, parts(1, 5))
    other = outbox.write(2, parts(2, 1))
    assert waiting is not None and other is not None
    outbox.drop(1)
    outbox.drop(1)
    for _ in range(5):
        channel.drain()
    assert names(channel.sent) == [(1, 0), (2, 0)]
    assert waiting.cancelled()
    assert other.done() and not other.cancelled()


async def test_a_channel_that_died_tells_everybody_who_waits() -> None:
    channel = Channel()
    outbox = Outbox(channel)
    waiting = outbox.write(1, parts(1, 5))
    assert waiting is not None
    outbox.fail(InvalidStateError("gone"))
    with pytest.raises(InvalidStateError, match="gone"):
        await waiting
    channel.drain()
    assert len(channel.sent) == 1
    channel.is_open = False
    with pytest.raises(InvalidStateError):
        outbox.write(1, parts(1, 1))


async def test_who_stopped_waiting_does_no_harm() -> None:
    channel = Channel()
    outbox = Outbox(channel)
    waiting = outbox.write(1, parts(1, 2))
    assert waiting is not None
    waiting.cancel()
    await asyncio.sleep(0)
    for _ in range(3):
        channel.drain()
    assert names(channel.sent) == [(1, 0), (1, 1)]
