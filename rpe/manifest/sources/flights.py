"""Equal work that is wanted by several at once is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

__all__ = ["FlightsClosed", "SingleFlight"]

T = TypeVar("T")


class FlightsClosed(Exception):
    """`close` ended the work, or came before it."""


class _Flight(Generic[T]):
    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task = task
        self.waiting = 0


class SingleFlight(Generic[T]):
    """Runs each piece of work once, however many wait for it.

    Work that nobody waits for any more is cancelled, so one caller's cancellation does not
    disturb the others and leaves nothing behind. Failures go to all that wait, and are not kept.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}
        self._tasks: set[asyncio.Task[T]] = set()
        self._closed = False

    async def do(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of the work of that key. Raises what the work raises, and FlightsClosed."""
        if self._closed:
            raise FlightsClosed
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(work()))
            self._tasks.add(flight.task)
            flight.task.add_done_callback(self._landed)
        flight.waiting += 1
        try:
            await asyncio.wait({flight.task})
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                if self._flights.get(key) is flight:
                    del self._flights[key]
                if not flight.task.done():
                    flight.task.cancel()
                    await asyncio.wait({flight.task})
        if flight.task.cancelled():
            raise FlightsClosed
        return flight.task.result()

    async def close(self) -> None:
        """Cancel all work and wait until it has ended; who waits for it gets FlightsClosed."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _landed(self, task: asyncio.Task[T]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: a failure that nobody waits for is not a failure of this process
