"""A closed loop: the same work again and again, each time after the last one has ended and a pause."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any

from rpe.clock import Clock
from rpe.load.sources import Tally

__all__ = ["Loop"]

_BURST = 32
"""How often work may follow work before others get their turn, were it never to wait for anything."""


class Loop:
    """Does work, waits, and does work again; at no time is there more than one of it under way.

    Arguments:
        pauses_s: how many seconds to wait after each; the loop ends when they do.
        work: told when it was due (the first one at once, later ones at the end of the pause), does
            it; what it raises ends the loop.
    """

    def __init__(
        self, pauses_s: Iterable[float], work: Callable[[float], Coroutine[Any, Any, object]], *, clock: Clock
    ) -> None:
        self.tally = Tally()
        self._pauses_s = pauses_s
        self._work = work
        self._clock = clock
        self._halted = asyncio.Event()

    async def run(self) -> Tally:
        """Do the work until the pauses end or `halt` is called, and return what it came to.

        Cancelled, it cancels the work that is under way.
        """
        clock, tally, halted = self._clock, self.tally, self._halted
        due_s = clock.now()
        for pause_s in self._pauses_s:
            if halted.is_set():
                break
            tally.started += 1
            tally.latest_s = max(tally.latest_s, clock.now() - due_s)
            await self._work(due_s)
            due_s = clock.now() + pause_s
            if pause_s > 0:
                with suppress(TimeoutError):
                    async with clock.deadline(due_s):
                        await halted.wait()
            elif tally.started % _BURST == 0:
                await clock.sleep(0)
        return tally

    def halt(self) -> None:
        """Start nothing more; `run` returns when the work that is under way is done, a pause ends at once."""
        self._halted.set()
