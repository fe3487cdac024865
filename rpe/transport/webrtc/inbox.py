"""What arrives on one call, in order, until it is read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from rpe.transport.webrtc.framing import Frame, FramingError, Joiner, NotRead
from rpe.transport.webrtc.reorder import Reorder

__all__ = ["Inbox"]


class Inbox:
    """Joins fragments, puts lossy messages into order, and keeps what was not read yet.

    Arguments:
        max_message_bytes: the largest message; twice as many bytes may wait to be read.
        reorder: given where messages may come over the lossy channel.
        peek: shown each message as it arrives, before anybody reads it.
    """

    def __init__(
        self,
        max_message_bytes: int,
        reorder: Reorder | None = None,
        peek: Callable[[bytes], None] | None = None,
    ) -> None:
        self.error: Exception | None = None
        self._joiner = Joiner(max_message_bytes, gaps=reorder is not None)
        self._most_bytes = 2 * max_message_bytes
        self._reorder = reorder
        self._peek = peek
        self._timer: asyncio.TimerHandle | None = None
        self._arrived: deque[bytes] = deque()
        self._arrived_bytes = 0
        self._ended = False
        self._reader: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()

    async def read(self) -> bytes | None:
        """Return the next message, None after the last. Raises the call's error once all are read.

        One task at a time; cancelling it loses nothing.
        """
        while True:
            if self._arrived:
                message = self._arrived.popleft()
                self._arrived_bytes -= len(message)
                return message
            if self.error is not None:
                raise self.error
            if self._ended:
                return None
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None

    def take(self, frame: Frame, lossy: bool) -> None:
        """Take a MESSAGE frame.

        Raises FramingError where it does not follow those before it, NotRead where too much
        waits to be read.
        """
        if lossy and (self._reorder is None or frame.total != len(frame.payload)):
            raise FramingError("what came over the lossy channel does not belong there")
        payload = frame.payload if lossy else self._joiner.add(frame)
        if payload is None:
            return
        waiting = self._arrived_bytes + (0 if self._reorder is None else self._reorder.held_bytes)
        if waiting + len(payload) > self._most_bytes:
            raise NotRead(f"{waiting} bytes were not read, and more came")
        if self._reorder is None:
            self._arrive(payload)
        else:
            self._reorder.add(frame.number, payload, kept=not lossy)
            self._put_in_order()

    def end(self, count: int) -> None:
        """Let the reader see the end, once what is late has come or is given up.

        Raises FramingError where some of the `count` messages are missing, and none may.
        """
        if self._reorder is None:
            self._joiner.end(count)
            self._ended = True
            self._wake()
        else:
            self._reorder.end(count)
            self._put_in_order()

    def fail(self, error: Exception) -> None:
        """Let the reader see the error, after what arrived before it. The first one counts."""
        if self.error is None and not self._ended:
            self.error = error
        self._stop()
        self._wake()

    def discard(self) -> None:
        """Forget what was not read."""
        self._stop()
        self._arrived.clear()
        self._arrived_bytes = 0

    def _put_in_order(self) -> None:
        self._stop()
        if self._reorder is None or self.error is not None:
            return
        for payload in self._reorder.take(self._loop.time()):
            self._arrive(payload)
        due_s = self._reorder.due_s()
        if due_s is not None:
            self._timer = self._loop.call_at(due_s, self._put_in_order)
        elif self._reorder.ended:
            self._ended = True
            self._wake()

    def _arrive(self, payload: bytes) -> None:
        self._arrived.append(payload)
        self._arrived_bytes += len(payload)
        if self._peek is not None:
            self._peek(payload)
        self._wake()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
