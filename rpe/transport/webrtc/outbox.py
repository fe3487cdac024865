"""The way out of one data channel: flow control, and a fair share for every call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

__all__ = ["HIGH_MARK_BYTES", "LOW_MARK_BYTES", "Outbox", "SendingChannel"]

HIGH_MARK_BYTES = 64 * 1024
"""Nothing is added to a channel that holds so much unsent. More would not be faster, since the
association has its own window, and whatever comes next would wait behind it."""

LOW_MARK_BYTES = 16 * 1024
"""Once only so much is left unsent, sending goes on."""


class SendingChannel(Protocol):
    """What is needed of an `RTCDataChannel` here."""

    bufferedAmountLowThreshold: int  # noqa: N815

    @property
    def bufferedAmount(self) -> int: ...  # noqa: D102, N802

    def send(self, data: bytes) -> None: ...  # noqa: D102

    def on(self, event: str, f: Any) -> Any: ...  # noqa: D102


class _Waiting:
    """What one call has to send yet: sequences of channel messages, each with a future for its end."""

    __slots__ = ("call", "parts")

    def __init__(self, call: int) -> None:
        self.call = call
        self.parts: deque[tuple[Iterator[bytes], asyncio.Future[None]]] = deque()


class Outbox:
    """Sends channel messages as fast as the channel takes them, one of each waiting call in turn.

    There is no task in it: what fits goes out in `write` itself, the rest as the channel
    reports that it has room. The messages of one call keep their order.
    """

    def __init__(self, channel: SendingChannel) -> None:
        self.sent_messages = 0
        self.sent_bytes = 0
        self._channel = channel
        self._turn: deque[_Waiting] = deque()
        self._calls: dict[int, _Waiting] = {}
        self._loop = asyncio.get_running_loop()
        channel.bufferedAmountLowThreshold = LOW_MARK_BYTES
        channel.on("bufferedamountlow", self._pump)

    def post(self, message: bytes) -> None:
        """Send one small message at once, before everything that waits.

        Raises what the channel raises where it is not open.
        """
        self._channel.send(message)
        self.sent_messages += 1
        self.sent_bytes += len(message)

    def write(self, call: int, messages: Iterator[bytes]) -> asyncio.Future[None] | None:
        """Send the messages of a call, in order.

        Returns None where all of them are with the channel now, or else a future that is done
        once they are. Cancelling that future does not unsend anything: see `drop`. Raises what
        the channel raises where it is not open.
        """
        if not self._turn:
            full = self._channel.bufferedAmount >= HIGH_MARK_BYTES
            while not full:
                message = next(messages, None)
                if message is None:
                    return None
                self.post(message)
                full = self._channel.bufferedAmount >= HIGH_MARK_BYTES
        waiting = self._calls.get(call)
        if waiting is None:
            waiting = self._calls[call] = _Waiting(call)
            self._turn.append(waiting)
        done = self._loop.create_future()
        waiting.parts.append((messages, done))
        return done

    def drop(self, call: int) -> None:
        """Forget what a call has not sent yet; who waits for it is cancelled."""
        waiting = self._calls.pop(call, None)
        if waiting is not None:
            self._turn.remove(waiting)
            for _, done in waiting.parts:
                done.cancel()

    def fail(self, error: BaseException) -> None:
        """Forget everything, and raise the error where somebody waits to send."""
        turn, self._turn = self._turn, deque()
        self._calls.clear()
        for waiting in turn:
            for _, done in waiting.parts:
                if not done.done():
                    done.set_exception(error)
                    # Not everybody looks: a unary call waits for its answer only.
                    done.exception()

    def _pump(self) -> None:
        turn = self._turn
        while turn and self._channel.bufferedAmount < HIGH_MARK_BYTES:
            waiting = turn[0]
            messages, done = waiting.parts[0]
            message = next(messages, None)
            if message is not None:
                self.post(message)
                turn.rotate(-1)
                continue
            if not done.done():
                done.set_result(None)
            waiting.parts.popleft()
            if not waiting.parts:
                turn.popleft()
                del self._calls[waiting.call]
