"""Time in the hands of a test: minutes of scripted audio play in milliseconds, in exact order.

What shares such a clock (the nodes, the script and the latency of a fake brain, and the
test itself) waits by it and by nothing else, so this is for fakes within one event loop.
Over real sockets time is real: run a fake with `rpe.clock.ScaledClock` there.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NoReturn, TypeVar

from rpe.clock import SYSTEM_CLOCK

__all__ = ["ManualClock"]

T = TypeVar("T")

_TURNS = 64
"""How often a loop that does not tell what it has ready is let run before time goes on."""

_MOST_TURNS = 100_000
"""Something that is still busy after so many turns never waits, and would keep time standing for ever."""


class ManualClock:
    """A `rpe.clock.Clock` whose time passes only in `advance` and in `run`.

    Whoever sleeps is woken in the order of the times, and of two for the same time the one
    that began first; between two of them, everything else happens that can happen without
    time going on. One task moves the time, and no other does meanwhile (RuntimeError).
    """

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s
        self._count = 0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._moving = False

    @property
    def sleepers(self) -> int:
        """How many wait for a time that has not come."""
        return sum(not future.done() for _, _, future in self._sleepers)

    def now(self) -> float:
        """Return the time now, in seconds."""
        return self._now_s

    async def sleep(self, delay_s: float) -> None:
        """Wait until `delay_s` seconds have passed; a delay of zero or less only yields once."""
        await self.sleep_until(self._now_s + delay_s)

    async def sleep_until(self, when_s: float) -> None:
        """Wait until the time is `when_s`; a time that is over only yields once."""
        if when_s <= self._now_s:
            await SYSTEM_CLOCK.sleep(0)
            return
        await self._at(when_s)

    @asynccontextmanager
    async def deadline(self, when_s: float | None) -> AsyncIterator[object]:
        """Cancel what is inside, with TimeoutError, when the time is `when_s` (None: never)."""
        timeout = asyncio.Timeout(None)
        if when_s is None:
            async with timeout:
                yield timeout
            return
        due = self._at(when_s)

        def fire(future: asyncio.Future[None]) -> None:
            if not future.cancelled():
                timeout.reschedule(0.0)

        async with timeout:
            due.add_done_callback(fire)
            try:
                yield timeout
            finally:
                due.remove_done_callback(fire)
                due.cancel()

    async def advance(self, seconds: float) -> None:
        """Let so much time pass, and everything happen that is due in it."""
        until_s = self._now_s + seconds
        with self._alone():
            while True:
                await self._settle()
                if not self._wake_next(until_s):
                    break
            self._now_s = until_s

    async def run(self, work: Coroutine[Any, Any, T] | Awaitable[T], *, limit_s: float = 86_400.0) -> T:
        """Do some work, and let time go on to the next sleeper whenever nothing else can happen.

        Returns what the work returns, or raises what it raises. Raises TimeoutError once
        `limit_s` seconds have passed, and RuntimeError where the work waits for something
        that no passing of time brings; the work is cancelled then, as where this is.
        """
        task = asyncio.ensure_future(work)
        until_s = self._now_s + limit_s
        try:
            with self._alone():
                while True:
                    await self._settle()
                    if task.done():
                        return await task
                    if not self._wake_next(until_s):
                        self._complain(limit_s)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])

    def _complain(self, limit_s: float) -> NoReturn:
        if self.sleepers:
            raise TimeoutError(f"the work is not done after {limit_s:g} s of its time")
        raise RuntimeError("the work waits for something, and nobody sleeps by this clock")

    def _at(self, when_s: float) -> asyncio.Future[None]:
        """Return what is done when the time is `when_s`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (when_s, self._count, future))
        return future

    def _wake_next(self, until_s: float) -> bool:
        """Go on to the next time that somebody waits for, and wake the first; False for none so soon."""
        while self._sleepers and self._sleepers[0][0] <= until_s:
            when_s, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                self._now_s = max(self._now_s, when_s)
                future.set_result(None)
                return True
        return False

    async def _settle(self) -> None:
        """Let everything happen that can without time going on."""
        ready = getattr(asyncio.get_running_loop(), "_ready", None)
        for turn in range(_MOST_TURNS):
            await SYSTEM_CLOCK.sleep(0)
            if (turn >= _TURNS) if ready is None else not ready:
                return
        raise RuntimeError("something is always busy, and time cannot go on")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._moving:
            raise RuntimeError("somebody moves the time already")
        self._moving = True
        try:
            yield
        finally:
            self._moving = False
