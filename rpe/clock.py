"""Time as a port: what waits or measures takes a `Clock`, so that a test or a simulation can own it.

Only this module, and the parts that live on a real event loop by nature (the embedded
proxy), may call the timers of asyncio or of the standard library.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from rpe.errors import ConfigurationError

__all__ = ["SYSTEM_CLOCK", "Clock", "ScaledClock", "SystemClock", "speed_of"]


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


class ScaledClock:
    """Another clock, run at so many times its speed: what takes 10 s by this one takes 1 s at a speed of 10.

    `now()` begins at the time of the other clock and goes on faster; a deadline is a moment
    of this clock too. Times of the two must not be mixed. Raises ConfigurationError for a
    speed that is no number above 0.
    """

    __slots__ = ("_clock", "_start_s", "speed")

    def __init__(self, speed: float, clock: Clock = SYSTEM_CLOCK) -> None:
        if not 0 < speed < math.inf:
            raise ConfigurationError(f"a clock runs at a speed above 0, and not at {speed!r}")
        self.speed = speed
        self._clock = clock
        self._start_s = clock.now()

    def now(self) -> float:
        """Return the time now, in seconds of this clock."""
        return self._start_s + (self._clock.now() - self._start_s) * self.speed

    async def sleep(self, delay_s: float) -> None:
        """Wait for `delay_s` seconds of this clock."""
        await self._clock.sleep(delay_s / self.speed)

    async def sleep_until(self, when_s: float) -> None:
        """Wait until this clock has reached `when_s`."""
        await self._clock.sleep_until(self._theirs_s(when_s))

    def deadline(self, when_s: float | None) -> AbstractAsyncContextManager[object]:
        """Return a context that ends with TimeoutError once this clock has reached `when_s`."""
        return self._clock.deadline(None if when_s is None else self._theirs_s(when_s))

    def _theirs_s(self, when_s: float) -> float:
        """Return the moment of the other clock that is `when_s` of this one."""
        return self._start_s + (when_s - self._start_s) / self.speed


def speed_of(clock: Clock) -> float:
    """Return how many seconds of a clock pass in a second of those who do not know it: 1 for most."""
    return clock.speed * speed_of(clock._clock) if isinstance(clock, ScaledClock) else 1.0
