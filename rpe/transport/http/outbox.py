"""The events of one session on their way to its caller, kept for a while after they were written."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

from rpe.transport.http.sse import format_event
from rpe.transport.serving import Damage, Refusal, StatusCode

__all__ = ["Outbox", "Outgoing", "Reader"]

_AHEAD = 16
"""How many events may wait to be written; a handler that brings one more waits too."""

_KEPT_EVENTS = 512
_KEPT_BYTES = 4 * 1024 * 1024
"""How much of what was written is kept for a caller that takes up the output again."""


class Outgoing(NamedTuple):
    """One event as it goes out: its number, its type, its bytes, and what is done to it on the way."""

    number: int
    kind: str
    payload: bytes
    damage: Damage | None


class Outbox:
    """Events numbered from 1, for one reader at a time.

    What has been written is kept until a reader begins behind it, or too much is kept; what
    has not been written is never let go.
    """

    def __init__(self) -> None:
        self.ended = False
        self.unsent: deque[Outgoing] = deque()
        self.changed = asyncio.Event()
        self._kept: deque[Outgoing] = deque()
        self._kept_bytes = 0
        self._next = 1
        self._reader: Reader | None = None

    async def put(self, kind: str, data: bytes, damage: Damage | None = None) -> None:
        """Add an event, waiting while too many have not been written. Nothing is added after `end`."""
        while len(self.unsent) >= _AHEAD and not self.ended:
            self.changed.clear()
            await self.changed.wait()
        self.put_now(kind, data, damage)

    def put_now(self, kind: str, data: bytes, damage: Damage | None = None) -> None:
        """Add an event without waiting."""
        if self.ended:
            return
        payload = format_event(data, event=kind, id=str(self._next))
        self.unsent.append(Outgoing(self._next, kind, payload, damage))
        self._next += 1
        self.changed.set()

    def end(self) -> None:
        """Say that no event follows: a reader ends once it has got all of them."""
        self.ended = True
        self.changed.set()

    def attach(self, after: int | None) -> Reader:
        """Return a reader of the events after a number, or of all that are kept. The reader before it ends.

        Raises Refusal where some of those events are no longer kept, or there never were so many.
        """
        unread = self._kept[0] if self._kept else self.unsent[0] if self.unsent else None
        oldest = self._next if unread is None else unread.number
        if after is not None and not oldest - 1 <= after < self._next:
            raise Refusal(
                StatusCode.OUT_OF_RANGE,
                f"the output cannot be taken up after event {after}",
                http_status=410,
            )
        if self._reader is not None:
            self._reader.replaced = True
            self.changed.set()
        while after is not None and self._kept and self._kept[0].number <= after:
            self._forget_oldest()
        self._reader = Reader(self, list(self._kept))
        return self._reader

    def detach(self, reader: Reader) -> bool:
        """Forget a reader. Returns whether it was the present one, so that nobody reads now."""
        if self._reader is not reader:
            return False
        self._reader = None
        return True

    def take(self) -> list[Outgoing]:
        """Return what has not been written, and take it as written."""
        taken = list(self.unsent)
        self.unsent.clear()
        for event in taken:
            # What comes again comes whole.
            self._kept.append(event._replace(damage=None))
            self._kept_bytes += len(event.payload)
        while len(self._kept) > _KEPT_EVENTS or (self._kept_bytes > _KEPT_BYTES and len(self._kept) > 1):
            self._forget_oldest()
        self.changed.set()
        return taken

    def _forget_oldest(self) -> None:
        self._kept_bytes -= len(self._kept.popleft().payload)


class Reader:
    """One reading of an outbox: what was written before and has to come again, then what is new."""

    def __init__(self, outbox: Outbox, again: list[Outgoing]) -> None:
        self.replaced = False
        self._outbox = outbox
        self._again = again

    def ready(self) -> list[Outgoing]:
        """Return the events that are here now."""
        again, self._again = self._again, []
        return again or (self._outbox.take() if self._outbox.unsent else [])

    async def wait(self, timeout_s: float) -> bool:
        """Wait until there is something to do; False where nothing came in `timeout_s` seconds."""
        outbox = self._outbox
        try:
            async with asyncio.timeout(timeout_s):
                while not (self.replaced or outbox.ended or outbox.unsent):
                    outbox.changed.clear()
                    await outbox.changed.wait()
        except TimeoutError:
            return False
        return True

    @property
    def done(self) -> bool:
        """Whether nothing will come any more: everything was read, or another reader took over."""
        return self.replaced or (self._outbox.ended and not self._outbox.unsent and not self._again)
