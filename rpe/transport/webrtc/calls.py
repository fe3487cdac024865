"""The caller's end of the multiplexer: calls by number, and what arrives for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Protocol

from aiortc.exceptions import InvalidStateError

from rpe.errors import ConnectionLost, InvalidRequest, RpeError
from rpe.transport.webrtc.control import Reset, cancelled
from rpe.transport.webrtc.framing import (
    LAST,
    LAST_CALL,
    NOT_SERVING,
    SERVING,
    Frame,
    FrameType,
    FramingError,
    Joiner,
)
from rpe.transport.webrtc.inbox import Inbox
from rpe.transport.webrtc.link import Death
from rpe.transport.webrtc.status import death_error, framing_error, reset_error

__all__ = ["Call", "CallLink", "Calls", "HealthCall", "StreamCall", "UnaryCall"]


class CallLink(Protocol):
    """What the multiplexer needs of a link."""

    limit: int
    death: Death | None

    def write(  # noqa: D102
        self, call: int, messages: Iterator[bytes], *, lossy: bool = False
    ) -> asyncio.Future[None] | None: ...

    def drop(self, call: int) -> None: ...  # noqa: D102

    def reset(self, call: int, payload: bytes) -> None: ...  # noqa: D102

    def die(self, reason: str, *, violation: bool = False) -> None: ...  # noqa: D102


class Call(Protocol):
    """One call as the multiplexer sees it. None of this raises, except `take` and `end` FramingError."""

    def take(self, frame: Frame, lossy: bool) -> None:
        """Take a MESSAGE frame."""
        ...

    def end(self, count: int) -> None:
        """Learn that no message follows after `count`."""
        ...

    def pong(self, flags: int) -> None:
        """Take the answer to a question for health."""
        ...

    def fail(self, error: RpeError) -> None:
        """Learn that nothing will follow, and why."""
        ...


class Calls:
    """Gives out numbers, and hands what arrives to the call of its number.

    What arrives for a number that is not in use any more is left alone: a call that was
    cancelled here may have been answered on the way.
    """

    def __init__(self, link: CallLink, endpoint: str) -> None:
        self.draining = False
        """The server has said that it takes no more calls."""
        self._link = link
        self._endpoint = endpoint
        self._calls: dict[int, Call] = {}
        self._last = 0
        self._idle: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def usable(self) -> bool:
        """Whether another call can be made here."""
        return self._link.death is None and not self.draining and self._last < LAST_CALL

    def add(self, call: Call) -> int:
        """Enter a call, and return its number."""
        self._last += 1
        self._calls[self._last] = call
        return self._last

    def write(
        self, number: int, messages: Iterator[bytes], *, lossy: bool = False
    ) -> asyncio.Future[None] | None:
        """Send channel messages of a call (see `Outbox.write`).

        Raises ConnectionLost where the peer is gone, InvalidRequest where the server takes no
        messages of this size.
        """
        try:
            return self._link.write(number, messages, lossy=lossy)
        except InvalidStateError as error:
            raise self._lost() from error
        except ValueError as error:
            raise InvalidRequest(f"the request is too large: {error}", endpoint=self._endpoint) from error

    def forget(self, number: int) -> None:
        """End a call from this side; the server is told to stop. Harmless where it has ended."""
        if self._calls.pop(number, None) is not None:
            self._link.reset(number, cancelled().encode())
        if self._idle is not None:
            self._check_idle()

    async def wait_idle(self) -> None:
        """Take no more calls, and wait until the last one has ended. One task at a time."""
        self.draining = True
        self._idle = asyncio.get_running_loop().create_future()
        self._check_idle()
        await self._idle

    def _check_idle(self) -> None:
        if self._idle is not None and not self._calls and not self._idle.done():
            self._idle.set_result(None)

    def frame(self, frame: Frame, lossy: bool) -> None:
        """Take a frame of the server."""
        number, kind = frame.call, frame.kind
        if kind is FrameType.OPEN or kind is FrameType.PING:
            raise FramingError(f"a server must not send {kind.name}")
        call = self._calls.get(number)
        if call is None:
            if number > self._last:
                raise FramingError(f"{kind.name} came for call {number}, which was never made")
            if number == 0 and kind is FrameType.RESET:
                self.draining = True
            return
        try:
            if kind is FrameType.MESSAGE:
                call.take(frame, lossy)
                if not frame.flags & LAST:
                    return
                del self._calls[number]
                call.end(frame.number + 1)
            elif kind is FrameType.END:
                del self._calls[number]
                call.end(frame.number)
            elif kind is FrameType.RESET:
                del self._calls[number]
                self._link.drop(number)
                call.fail(reset_error(Reset.decode(frame.payload), self._endpoint))
            else:
                del self._calls[number]
                call.pong(frame.flags)
        except FramingError as error:
            self._calls.setdefault(number, call)
            self.forget(number)
            call.fail(framing_error(error, self._endpoint))
        self._check_idle()

    def died(self, death: Death) -> None:
        """Fail every call."""
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.fail(death_error(death, self._endpoint))
        self._check_idle()

    def _lost(self) -> RpeError:
        if self._link.death is not None:
            return death_error(self._link.death, self._endpoint)
        return ConnectionLost("the data channel is not open", endpoint=self._endpoint)


class _NoPong:
    """A call that never asked for health."""

    __slots__ = ()

    def pong(self, flags: int) -> None:
        """Refuse it."""
        raise FramingError("a PONG came for a call that asked nothing")


class UnaryCall(_NoPong):
    """A call with one answer, in `answer`."""

    __slots__ = ("_joiner", "_payload", "answer")

    def __init__(self, max_message_bytes: int) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._joiner = Joiner(max_message_bytes)
        self._payload: bytes | None = None

    def take(self, frame: Frame, lossy: bool) -> None:
        """Keep the answer until the end has come."""
        payload = self._joiner.add(frame)
        if payload is None:
            return
        if self._payload is not None:
            raise FramingError("a unary call has one answer, and a second one came")
        self._payload = payload

    def end(self, count: int) -> None:
        """Hand the answer over."""
        self._joiner.end(count)
        if self._payload is None:
            raise FramingError("the end came without an answer")
        if not self.answer.done():
            self.answer.set_result(self._payload)

    def fail(self, error: RpeError) -> None:
        """Hand the error over."""
        if not self.answer.done():
            self.answer.set_exception(error)


class HealthCall:
    """A question for health; `answer` is True, False, or None where the server says nothing of it."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()

    def take(self, frame: Frame, lossy: bool) -> None:
        """Refuse it."""
        raise FramingError("a message came in answer to a PING")

    def end(self, count: int) -> None:
        """Refuse it."""
        raise FramingError("an END came in answer to a PING")

    def pong(self, flags: int) -> None:
        """Hand the answer over."""
        if not self.answer.done():
            self.answer.set_result(True if flags & SERVING else False if flags & NOT_SERVING else None)

    def fail(self, error: RpeError) -> None:
        """Hand the error over."""
        if not self.answer.done():
            self.answer.set_exception(error)


class StreamCall(Inbox, _NoPong):
    """A call with many answers, which wait to be read."""
