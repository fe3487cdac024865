"""When to look at a pool member again: a heap of moments, driven by whoever asks.

There is at most one valid moment per member, its earliest; what the member waits for is
looked up when it comes. Moments that were overtaken stay in the heap until their time, or
until they are the greater part of it.
"""

from __future__ import annotations

import heapq
import itertools
from typing import Generic, Protocol, TypeVar

__all__ = ["NEVER", "Timed", "Timers"]

NEVER = float("inf")

_SMALL = 64  # a heap up to this size is never rebuilt


class Timed(Protocol):
    """What a member remembers of its timer; only `Timers` writes it."""

    timer_s: float


M = TypeVar("M", bound=Timed)


class Timers(Generic[M]):
    """The pending moments of the members of one pool; `next_s` is the earliest, or `NEVER`."""

    __slots__ = ("_heap", "_pending", "_sequence", "next_s")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, M]] = []
        self._sequence = itertools.count()
        self._pending = 0
        self.next_s = NEVER

    def wake(self, member: M, at_s: float) -> None:
        """Look at `member` again at `at_s`; an earlier moment that is pending for it suffices."""
        if at_s >= member.timer_s:
            return
        if member.timer_s == NEVER:
            self._pending += 1
        member.timer_s = at_s
        heapq.heappush(self._heap, (at_s, next(self._sequence), member))
        self._tidy()

    def cancel(self, member: M) -> None:
        """Forget the pending moment of `member`, if any."""
        if member.timer_s != NEVER:
            member.timer_s = NEVER
            self._pending -= 1
            self._tidy()

    def pop_due(self, now: float) -> M | None:
        """Take out and return one member whose moment has come; None if there is none."""
        while self.next_s <= now:
            at_s, _, member = heapq.heappop(self._heap)
            self._look()
            if at_s == member.timer_s:
                member.timer_s = NEVER
                self._pending -= 1
                return member
        return None

    def _tidy(self) -> None:
        """Rebuild a heap that is mostly overtaken moments; this costs each of them a constant."""
        if len(self._heap) > _SMALL and len(self._heap) > 2 * self._pending:
            self._heap = [entry for entry in self._heap if entry[0] == entry[2].timer_s]
            heapq.heapify(self._heap)
        self._look()

    def _look(self) -> None:
        self.next_s = self._heap[0][0] if self._heap else NEVER

    def __len__(self) -> int:
        return len(self._heap)
