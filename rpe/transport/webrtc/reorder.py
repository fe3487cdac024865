"""Numbered messages back into their order, where some are late and some never come. No I/O."""

from __future__ import annotations

__all__ = ["Reorder"]


class Reorder:
    """Gives messages out by their number, and waits for a missing one only for a moment.

    A message that others have overtaken is waited for `window_s` seconds, counted from when
    the first of those came; then it is given up, and dropped if it comes after all. A message
    that came over the reliable channel is `kept`: it may be late, but it is never dropped.
    """

    def __init__(self, window_s: float) -> None:
        self.missed = 0
        """How many messages were given up, less those that came late and were kept."""
        self._window_s = window_s
        self._next = 0
        self._held: dict[int, bytes] = {}
        self._late: list[bytes] = []
        self._waits_since_s: float | None = None
        self._count: int | None = None

    @property
    def held_bytes(self) -> int:
        """How many bytes wait here for one before them."""
        return sum(map(len, self._held.values()))

    def add(self, number: int, message: bytes, *, kept: bool) -> None:
        """Take a message. What came twice, or too late without being kept, is dropped."""
        if number >= self._next:
            self._held.setdefault(number, message)
        elif kept:
            self.missed -= 1
            self._late.append(message)

    def end(self, count: int) -> None:
        """Take note that so many messages were sent, and that no more will be."""
        self._count = count

    @property
    def ended(self) -> bool:
        """Whether everything was given out or given up, and nothing follows."""
        return self._count is not None and self._next >= self._count and not self._late

    def take(self, now_s: float) -> list[bytes]:
        """Return the messages whose turn it is, in order."""
        ready, self._late = self._late, []
        while True:
            while self._next in self._held:
                ready.append(self._held.pop(self._next))
                self._next += 1
                self._waits_since_s = None
            if not self._waiting():
                self._waits_since_s = None
                return ready
            if self._waits_since_s is None:
                self._waits_since_s = now_s
            if now_s < self._waits_since_s + self._window_s:
                return ready
            after = min(self._held, default=self._count or 0)
            self.missed += after - self._next
            self._next = after
            self._waits_since_s = None

    def due_s(self) -> float | None:
        """Return when `take` has to be called again at the latest; None where nothing is waited for."""
        return None if self._waits_since_s is None else self._waits_since_s + self._window_s

    def _waiting(self) -> bool:
        return bool(self._held) or (self._count is not None and self._next < self._count)
