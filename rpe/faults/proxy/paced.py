"""The common part of toxics that make bytes wait: a queue whose head leaves at a planned moment."""

from __future__ import annotations

import abc
from collections import deque
from typing import NamedTuple, TypeVar

from rpe.faults.proxy.stage import Port, Stage

__all__ = ["Departure", "PacedStage"]

S = TypeVar("S")

ROOM_BYTES = 64 * 1024
LEAST_CHUNK_BYTES = 128
"""What a queued chunk counts for at least, so that a flood of tiny chunks is bounded too."""


class Departure(NamedTuple):
    """The next piece of the queue's head: its size, when it may go, and the arrival it goes under."""

    size: int
    due_s: float
    arrived_s: float


class PacedStage(Stage[S], abc.ABC):
    """Holds chunks in order and sends each piece when it is due.

    The source is held back while more than `room_bytes()` wait. A change of settings lets
    the chunk at the head go at once, as Toxiproxy does; those behind it are planned anew.

    `late_s` is by how much the last departure missed its moment (timers are coarse), so
    that a stage which owes a rate can make up for it.
    """

    __slots__ = ("_departure", "_finishing", "_held_bytes", "_offset", "_queue", "late_s")

    def __init__(self, settings: S, port: Port) -> None:
        super().__init__(settings, port)
        self._queue: deque[tuple[bytes, float]] = deque()
        self._offset = 0
        self._held_bytes = 0
        self._departure: Departure | None = None
        self._finishing = False
        self.late_s = 0.0

    @abc.abstractmethod
    def plan(self, size: int, arrived_s: float) -> Departure:
        """Decide about the next piece of a head that has `size` bytes left."""

    def replan(self) -> None:
        """Forget what was planned beyond the next piece: the settings changed."""

    def room_bytes(self) -> int:
        """Return how much may wait here before the source is held back."""
        return ROOM_BYTES

    def feed(self, data: bytes, arrived_s: float) -> None:
        """Queue a chunk, or send it on at once if it is due."""
        self._queue.append((data, arrived_s))
        self._held_bytes += max(len(data), LEAST_CHUNK_BYTES)
        if self._departure is None:
            self._advance()
        if self._held_bytes > self.room_bytes():
            self.port.hold()

    def finish(self) -> None:
        """Queue the end of the stream."""
        self._finishing = True
        if not self._queue:
            self._end()

    def wake(self) -> None:
        """Send what is due."""
        self._advance()

    def update(self, settings: S) -> None:
        """Let the chunk at the head go, and plan the others anew."""
        self.port.cancel_wake()
        self.settings = settings
        self.replan()
        if self._queue:
            self._send_head()
        self._advance()

    def stop(self) -> None:
        """Let everything go at once."""
        self.port.cancel_wake()
        self.replan()
        while self._queue:
            self._send_head()
        self.port.release()
        if self._finishing:
            self._end()

    def _advance(self) -> None:
        """Send all that is due, and ask to be woken for what is not."""
        while self._queue:
            data, arrived_s = self._queue[0]
            departure = self._departure or self.plan(len(data) - self._offset, arrived_s)
            now_s = self.port.now()
            if departure.due_s > now_s:
                self._departure = departure
                self.port.wake_at(departure.due_s)
                break
            self._departure = None
            self.late_s = now_s - departure.due_s
            self._send_piece(departure)
        if self._held_bytes <= self.room_bytes() // 2:
            self.port.release()
        if self._finishing and not self._queue:
            self._end()

    def _send_piece(self, departure: Departure) -> None:
        data = self._queue[0][0]
        end = self._offset + departure.size
        piece = data if departure.size == len(data) else data[self._offset : end]
        if end == len(data):
            self._drop_head()
        else:
            self._offset = end
        self.port.send(piece, departure.arrived_s)

    def _send_head(self) -> None:
        data, arrived_s = self._queue[0]
        rest = data[self._offset :]
        self._drop_head()
        self.port.send(rest, arrived_s)

    def _drop_head(self) -> None:
        data, _ = self._queue.popleft()
        self._held_bytes -= max(len(data), LEAST_CHUNK_BYTES)
        self._offset = 0
        self._departure = None

    def _end(self) -> None:
        self._finishing = False
        self.port.finish()
