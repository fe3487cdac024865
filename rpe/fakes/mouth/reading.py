"""The request of one call: from bytes to messages, and the window that its caller is given back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from rpe.fakes.mouth.encoding import MessageReader
from rpe.fakes.mouth.holding import Holding
from rpe.transport.serving import Refusal, StatusCode

__all__ = ["Requests", "Told"]


class Told(Protocol):
    """Takes what comes in, as the journal is to have it."""

    def message_in(self, number: int, message: bytes) -> None:
        """A message is complete: the n-th, from 0."""
        ...

    def half_closed(self) -> None:
        """The caller has said that it sends no more."""
        ...


class Requests:
    """What comes in a call. With a `Holding`, some of it is kept back, and so is the caller's window."""

    def __init__(self, told: Told, holding: Holding | None, open_window: Callable[[int], None]) -> None:
        self.holding = holding
        self._told = told
        self._open_window = open_window
        self._reader = MessageReader()
        self._messages: deque[bytes] = deque()
        self._count = 0
        self._no_more = False
        self._ends_later = False
        self._unreadable = ""
        self._arrived = asyncio.Event()
        if holding is not None:
            holding.on_resume = self._go_on

    def begin(self) -> None:
        """Take the place before the first byte: reading may stop here already."""
        if self.holding is not None and self.holding.stops_at(0):
            self.holding.stop(0, 0)

    async def read(self) -> bytes | None:
        """Return the next message; None once there are no more. Raises Refusal where it cannot be read."""
        await self.wait_for_more()
        if self._messages:
            return self._messages.popleft()
        if self._unreadable:
            raise Refusal(StatusCode.UNIMPLEMENTED, self._unreadable)
        return None

    async def wait_for_more(self) -> None:
        """Wait until there is a message, or the end."""
        while not (self._messages or self._no_more):
            self._arrived.clear()
            await self._arrived.wait()

    def feed(self, data: bytes, cost_bytes: int) -> None:
        """Take what came in a DATA frame, which took so much of the caller's window."""
        holding = self.holding
        if holding is None:
            self._parse(data)
            return
        holding.came(cost_bytes)
        if holding.stopped:
            self._reader.hold(data)
            return
        self._open_window(cost_bytes - self._parse(data))

    def feed_end(self) -> None:
        """Take the end of the request."""
        self._told.half_closed()
        if self.holding is not None and self.holding.stopped:
            self._ends_later = True
            return
        self._end()

    def close(self) -> None:
        """The call is over."""
        if self.holding is not None:
            self.holding.close()

    def _end(self) -> None:
        self._no_more = True
        self._arrived.set()
        if self.holding is not None:
            self.holding.close()

    def _go_on(self, kept_bytes: int) -> None:
        """Read on, with what was kept back."""
        if not self._ends_later:
            self._open_window(kept_bytes)
        self._parse(b"")
        if self._ends_later:
            self._end()

    def _parse(self, data: bytes) -> int:
        """Read messages out of it. Returns how many bytes stay unread, where reading stops here."""
        unread_bytes = 0
        try:
            for message in self._reader.feed(data):
                self._told.message_in(self._count, message)
                self._messages.append(message)
                self._count += 1
                if self.holding is not None and self.holding.stops_at(self._count):
                    unread_bytes = self._reader.held_bytes
                    self.holding.stop(self._count, unread_bytes)
                    break
        except ValueError as error:
            self._unreadable, self._no_more = str(error), True
        if self._messages or self._no_more:
            self._arrived.set()
        return unread_bytes
