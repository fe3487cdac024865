"""Datagrams that wait for their time to leave: one heap, one timer, first in first out among equals."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

__all__ = ["Departures"]

Send = Callable[[], None]


class Departures:
    """Calls what was put in, at its time. Belongs to one event loop; `close` forgets what waits.

    The loop's own timers run in no certain order where their times are equal, which would
    reorder datagrams that wait behind each other.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[float, int, Send]] = []
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, at_s: float, send: Send) -> None:
        """Send at `at_s` on the loop's clock; at once where that has come, behind all that is due before."""
        if at_s <= self._loop.time():
            self._send_due(at_s)
            send()
        else:
            self._count += 1
            heapq.heappush(self._waiting, (at_s, self._count, send))
        self._set_timer()

    def flush(self) -> None:
        """Send everything that waits, now, in the order of its times."""
        self._send_due(float("inf"))
        self._set_timer()

    def close(self) -> None:
        """Forget everything that waits."""
        self._waiting.clear()
        self._set_timer()

    def _send_due(self, until_s: float) -> None:
        while self._waiting and self._waiting[0][0] <= until_s:
            heapq.heappop(self._waiting)[2]()

    def _set_timer(self) -> None:
        """Let the timer stand at the first of those that wait."""
        first_s = self._waiting[0][0] if self._waiting else None
        if self._timer is not None:
            if self._timer.when() == first_s:
                return
            self._timer.cancel()
            self._timer = None
        if first_s is not None:
            self._timer = self._loop.call_at(first_s, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._send_due(self._loop.time())
        self._set_timer()
