"""A bounded queue between tasks that knows when its writers have ended."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

__all__ = ["Channel"]

T = TypeVar("T")


class Channel(Generic[T]):
    """At most `size` items on their way from some writers to one reader, in order.

    It ends when each of its `writers` has said so and nothing is left in it. Once it has
    failed, writers get the failure at once, the reader after what was in it. Cancelling a
    wait leaves the channel as it was.
    """

    __slots__ = ("_failure", "_items", "_pending", "_readers", "_size", "_waiting", "_writers")

    def __init__(self, size: int, writers: int) -> None:
        self._size = size
        self._writers = writers
        self._pending = 0  # puts that wait for room: the channel does not end before they are in
        self._items: deque[T] = deque()
        self._failure: BaseException | None = None
        self._readers: list[asyncio.Future[None]] = []
        self._waiting: list[asyncio.Future[None]] = []

    def __len__(self) -> int:
        return len(self._items)

    def offer(self, item: T) -> bool:
        """Put the item in where there is room now, and say whether there was. Raises the failure."""
        if self._failure is not None:
            raise self._failure
        if len(self._items) >= self._size:
            return False
        self._items.append(item)
        _wake(self._readers)
        return True

    async def put(self, item: T) -> None:
        """Put the item in, waiting for room. Raises the failure, also where it comes meanwhile."""
        self._pending += 1
        try:
            while not self.offer(item):
                await _wait(self._waiting)
        finally:
            self._pending -= 1
            _wake(self._readers)

    async def get(self) -> T | None:
        """Return the next item, waiting for it; None where the channel has ended. Raises the failure."""
        while not self._items:
            if self._failure is not None:
                raise self._failure
            if not self._writers and not self._pending:
                return None
            await _wait(self._readers)
        item = self._items.popleft()
        _wake(self._waiting)
        return item

    def end(self) -> None:
        """One writer has nothing more to put in."""
        self._writers -= 1
        _wake(self._readers)

    def fail(self, failure: BaseException) -> None:
        """Nothing more gets in; whoever waits learns why. The first failure stays."""
        self._failure = self._failure or failure
        _wake(self._readers)
        _wake(self._waiting)


async def _wait(waiters: list[asyncio.Future[None]]) -> None:
    future = asyncio.get_running_loop().create_future()
    waiters.append(future)
    try:
        await future
    finally:
        if future in waiters:
            waiters.remove(future)


def _wake(waiters: list[asyncio.Future[None]]) -> None:
    """Let all look again: whoever is cancelled on waking then takes no other's turn with it."""
    for future in waiters:
        if not future.done():
            future.set_result(None)
    waiters.clear()
