"""The chunks of one session that have come and that its handler has not asked for yet."""

from __future__ import annotations

import asyncio
from collections import deque

from rpe.transport.serving import ApplicationError, ErrorType, ReceivedChunk, Refusal, StatusCode

__all__ = ["Inbox"]

_ROOM = 16
"""How many chunks wait for the handler; whoever brings one more waits too."""


class Inbox:
    """Takes chunks one by one in the order of their requests, and hands them to one handler.

    `end` says that the session is over: whoever waits is let go, and no chunk is taken.
    """

    def __init__(self) -> None:
        self._items: deque[ReceivedChunk | ApplicationError] = deque()
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._last = -1
        self._closed = False
        self._over = False

    async def put(self, chunk: ReceivedChunk, *, numbered: bool = True) -> None:
        """Take a chunk, waiting for room. One that is not numbered gets the next number.

        Raises Refusal where no more chunks are taken, or where its number does not rise:
        the handler then gets an error in its place, and the session ends.
        """
        async with self._turn:
            while len(self._items) >= _ROOM and not (self._closed or self._over):
                self._changed.clear()
                await self._changed.wait()
            if self._closed or self._over:
                raise Refusal(
                    StatusCode.FAILED_PRECONDITION, "the session takes no more chunks", http_status=409
                )
            sequence = chunk.sequence if numbered else self._last + 1
            if sequence <= self._last:
                message = f"the sequence must rise: {sequence} came after {self._last}"
                self.break_with(message)
                raise Refusal(StatusCode.INVALID_ARGUMENT, message)
            self._last = sequence
            self._items.append(
                chunk if numbered else ReceivedChunk(chunk.node_id, chunk.data, sequence, chunk.timestamp_ms)
            )
            self._changed.set()

    def break_with(self, message: str) -> None:
        """End the chunks with an error of the caller's making, for the handler to find behind the others."""
        if not self._closed:
            self._closed = True
            self._items.append(ApplicationError(ErrorType.VALIDATION, message))
            self._changed.set()

    def close(self) -> None:
        """Take no more chunks: the handler gets those that are here, and then None."""
        self._closed = True
        self._changed.set()

    def end(self) -> None:
        """The session is over: let everybody go."""
        self._over = True
        self._items.clear()
        self._changed.set()

    async def get(self) -> ReceivedChunk | ApplicationError | None:
        """Return the next chunk, the error that came in its place, or None once there are no more."""
        while not self._items:
            if self._closed or self._over:
                return None
            self._changed.clear()
            await self._changed.wait()
        item = self._items.popleft()
        self._changed.set()
        return item
