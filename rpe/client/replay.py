"""What a session that moves must send again: the chunks that are not answered yet. No I/O, no time."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from rpe.data import RuntimeData
from rpe.errors import DataValidationError

__all__ = ["Chunk", "ReplayBuffer", "Verdict"]


class Chunk(NamedTuple):
    """One chunk as it is sent, also again. `size_bytes` is about what it takes in memory."""

    sequence: int
    data: RuntimeData | Mapping[str, RuntimeData]
    node_id: str
    timestamp_ms: int
    size_bytes: int


class Verdict(enum.Enum):
    """What a result is, by its sequence number.

    FRESH: the caller has not been given it. REPEATED: it was given before the session moved.
    LATE: it follows a result of a later chunk. UNASKED: it answers nothing that was sent on
    this leg.
    """

    FRESH = enum.auto()
    REPEATED = enum.auto()
    LATE = enum.auto()
    UNASKED = enum.auto()


class ReplayBuffer:
    """Chunks in the order of their sequence numbers, from the last answered one on.

    A chunk may have several results, so a result never says that it was the last one of its
    chunk. It does say that no result of an earlier chunk follows: those before are let go,
    whether they had results or not. The answered chunk itself is kept until a later one is
    answered. On a new leg it is sent once more, and as many results of it as were given
    before are REPEATED.

    What is kept is bounded by `most_chunks` and `most_bytes`. The answered chunk does not count,
    and a chunk is always taken where it would be the only unanswered one.
    """

    __slots__ = (
        "_answered", "_bytes", "_chunks", "_cursor", "_first", "_given", "_last", "_most_bytes",
        "_most_chunks", "_repeats", "_sent",
    )  # fmt: skip

    def __init__(self, most_chunks: int, most_bytes: int) -> None:
        self._most_chunks = most_chunks
        self._most_bytes = most_bytes
        self._chunks: deque[Chunk] = deque()
        self._bytes = 0
        self._last = -1
        self._answered = -1
        self._given = 0
        self._cursor = 0
        self._first = 0
        self._sent = 0
        self._repeats = 0

    @property
    def next_sequence(self) -> int:
        """The number after that of the last chunk."""
        return self._last + 1

    @property
    def last_answered(self) -> int | None:
        """The number of the last chunk of which a result was given; None before the first."""
        return self._answered if self._given else None

    @property
    def unanswered(self) -> int:
        """How many chunks wait for their first result, or for that of a later one."""
        return len(self._chunks) - self._keeps_answered

    @property
    def unanswered_bytes(self) -> int:
        """What they take, in bytes."""
        return self._bytes - (self._chunks[0].size_bytes if self._keeps_answered else 0)

    def check(self, sequence: int) -> None:
        """Raise DataValidationError where a chunk of this number cannot follow the last one."""
        if sequence <= self._last:
            raise DataValidationError(
                f"is {sequence}, after {self._last}",
                field="sequence",
                hint="number chunks upwards, or leave the numbers to the session",
            )

    def has_room(self, size_bytes: int) -> bool:
        """Say whether a chunk of that size can be added now."""
        waiting = self.unanswered
        return not waiting or (
            waiting < self._most_chunks and self.unanswered_bytes + size_bytes <= self._most_bytes
        )

    def add(self, chunk: Chunk) -> None:
        """Take a chunk, which has been checked, and for which there is room."""
        self._last = chunk.sequence
        self._chunks.append(chunk)
        self._bytes += chunk.size_bytes

    def next(self) -> Chunk | None:
        """Return the next chunk to send on this leg, which counts as sent; None where all were."""
        if self._cursor == len(self._chunks):
            return None
        chunk = self._chunks[self._cursor]
        self._cursor += 1
        self._sent = chunk.sequence
        return chunk

    def rewind(self) -> None:
        """Begin a new leg: everything kept is to be sent again."""
        self._cursor = 0
        self._first = self._chunks[0].sequence if self._chunks else self.next_sequence
        self._sent = 0
        self._repeats = self._given if self._keeps_answered else 0

    def take(self, sequence: int) -> Verdict:
        """Judge a result of the chunk of that number, and let go of what it confirms.

        One of chunk 0 may come before anything was sent, as some pipelines begin by speaking.
        """
        if not self._first <= sequence <= self._sent:
            return Verdict.UNASKED
        if self._given and sequence < self._answered:
            return Verdict.LATE
        if self._given and sequence == self._answered:
            if self._repeats:
                self._repeats -= 1
                return Verdict.REPEATED
            self._given += 1
            return Verdict.FRESH
        self._answered = sequence
        self._given = 1
        self._repeats = 0
        chunks = self._chunks
        while chunks and chunks[0].sequence < sequence:
            self._bytes -= chunks.popleft().size_bytes
            self._cursor -= 1
        return Verdict.FRESH

    def clear(self) -> None:
        """Let go of everything; the numbers stay."""
        self._chunks.clear()
        self._bytes = self._cursor = 0

    @property
    def _keeps_answered(self) -> bool:
        chunks = self._chunks
        return bool(chunks) and self._given > 0 and chunks[0].sequence <= self._answered

    def __repr__(self) -> str:
        return f"<ReplayBuffer {self.unanswered} unanswered, {self.unanswered_bytes} bytes>"
