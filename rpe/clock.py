"""Time as a port: what waits or measures takes a `Clock`, so that a test or a simulation can own it.

Only this module, and the parts that live on a real event loop by nature (the embedded
proxy), may call the timers of asyncio or of the standard library.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from typing import Protocol

__all__ = ["SYSTEM_CLOCK", "Clock", "SystemClock"]


class Clock(Protocol):
    """Monotonic time in seconds. Its zero means nothing; only differences do."""

    def now(self) -> float:
        """Return the time now, in seconds."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Wait for `delay_s` seconds; a delay of zero or less only yields once."""
        ...

    async def sleep_until(self, when_s: float) -> None:
        """Wait until `now()` has reached `when_s`; return at once if it has."""
        ...

    def deadline(self, when_s: float | None) -> AbstractAsyncContextManager[object]:
        """Return a context in which work is cancelled, with TimeoutError, at `when_s` (None: never)."""
        ...


class SystemClock:
    """The machine's monotonic clock and the timers of the running event loop."""

    __slots__ = ()

    now = staticmethod(time.monotonic)

    async def sleep(self, delay_s: float) -> None:
        """Wait for `delay_s` seconds on the running loop."""
        await asyncio.sleep(delay_s)

    async def sleep_until(self, when_s: float) -> None:
        """Wait until the monotonic clock has reached `when_s`."""
        await asyncio.sleep(max(when_s - time.monotonic(), 0.0))

    def deadline(self, when_s: float | None) -> AbstractAsyncContextManager[object]:
        """Return `asyncio.timeout_at` for the moment `when_s` of this clock."""
        if when_s is None:
            return asyncio.timeout(None)
        return asyncio.timeout(when_s - time.monotonic())


SYSTEM_CLOCK = SystemClock()
