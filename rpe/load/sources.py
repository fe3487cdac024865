"""A source of arrivals: it starts work when it is due, whatever became of the work before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from rpe.clock import Clock

__all__ = ["Source", "Tally"]

_AT_ONCE = 32
"""How many late arrivals are started before what runs gets its turn."""


@dataclass(slots=True)
class Tally:
    """How many arrivals were started and missed, and how late the latest of those started was, in seconds."""

    started: int = 0
    missed: int = 0
    latest_s: float = 0.0


class Source:
    """Starts work at given moments, in tasks of its own.

    A source that falls behind, as its loop was busy, starts at once all that is due by then: no arrival
    is lost. Only those that come while `max_in_flight` are under way do not start: they are missed.

    Arguments:
        due_s: the moments on the clock, in order; the source ends when they do, and the work is done.
        work: told when it was due, does it; what it raises ends the source.
        missed: told of each arrival that does not start.
    """

    def __init__(
        self,
        due_s: Iterable[float],
        work: Callable[[float], Coroutine[Any, Any, object]],
        missed: Callable[[float], object],
        *,
        max_in_flight: int,
        clock: Clock,
    ) -> None:
        self.tally = Tally()
        self._due_s = due_s
        self._work = work
        self._missed = missed
        self._max_in_flight = max_in_flight
        self._clock = clock
        self._in_flight = 0
        self._scheduling: asyncio.Task[None] | None = None
        self._halted = False

    async def run(self) -> Tally:
        """Start all that is due, wait for what was started, and return what it came to.

        Cancelled, it cancels what is under way and waits for that.
        """
        async with asyncio.TaskGroup() as tasks:
            if not self._halted:
                self._scheduling = tasks.create_task(self._schedule(tasks))
        return self.tally

    def halt(self) -> None:
        """Start nothing more; `run` returns when what is under way is done."""
        self._halted = True
        if self._scheduling is not None:
            self._scheduling.cancel()

    async def _schedule(self, tasks: asyncio.TaskGroup) -> None:
        clock, tally, burst = self._clock, self.tally, 0
        for due_s in self._due_s:
            late_s = clock.now() - due_s
            if late_s < 0:
                await clock.sleep_until(due_s)
                late_s, burst = clock.now() - due_s, 0
            else:
                burst += 1
                if burst % _AT_ONCE == 0:
                    await clock.sleep(0)
            if self._in_flight >= self._max_in_flight:
                await clock.sleep(0)  # what has ended meanwhile makes room, once it gets its turn
            if self._in_flight >= self._max_in_flight:
                tally.missed += 1
                self._missed(due_s)
                continue
            tally.started += 1
            tally.latest_s = max(tally.latest_s, late_s)
            self._in_flight += 1
            tasks.create_task(self._work(due_s)).add_done_callback(self._ended)

    def _ended(self, _: asyncio.Task[object]) -> None:
        self._in_flight -= 1
