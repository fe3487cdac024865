"""One thing that many share, made when it is first needed and again once it is of no more use."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

from rpe.errors import RemoteTimeout, RpeError
from rpe.transport.webrtc.status import closed_client

__all__ = ["Shareable", "Shared"]


class Shareable(Protocol):
    """What can be shared."""

    @property
    def usable(self) -> bool: ...  # noqa: D102

    async def retire(self) -> None: ...  # noqa: D102

    async def close(self) -> None: ...  # noqa: D102


T = TypeVar("T", bound=Shareable)


class Shared(Generic[T]):
    """Keeps one open, and opens it once for all who ask meanwhile.

    The opening has a task of its own: a caller that is cancelled, or runs out of time, leaves
    it to the others. What takes nothing new any more is retired behind the scenes.
    """

    def __init__(self, endpoint: str, make: Callable[[], Awaitable[T]]) -> None:
        self._endpoint = endpoint
        self._make = make
        self._made: T | None = None
        self._making: asyncio.Task[T] | None = None
        self._retiring: dict[asyncio.Task[None], T] = {}
        self._closed = False

    @property
    def current(self) -> T | None:
        """What is open and can be used, None where it has to be opened (see `get`)."""
        made = self._made
        return made if made is not None and made.usable and not self._closed else None

    async def get(self, timeout_s: float) -> T:
        """Return what is open, opening it where that is needed.

        Raises what opening it raises, RemoteTimeout where that takes longer than `timeout_s`,
        and ConnectionLost once closed.
        """
        if self._closed:
            raise closed_client(self._endpoint)
        if (current := self.current) is not None:
            return current
        self._retire()
        if self._making is None:
            self._making = asyncio.create_task(self._open())
            self._making.add_done_callback(_look)
        making = self._making
        await asyncio.wait([making], timeout=max(timeout_s, 0.0))
        if not making.done():
            raise RemoteTimeout(
                "no connection within the deadline", endpoint=self._endpoint, maybe_executed=False
            )
        if making.cancelled() or self._closed:
            raise closed_client(self._endpoint)
        error = making.exception()
        if isinstance(error, RpeError):
            # Each caller gets one of its own: whoever catches it may add to it.
            raise copy.copy(error) from error.__cause__
        return making.result()

    async def close(self) -> None:
        """Stop opening, close what is open, and wait until nothing is left. Harmless twice."""
        self._closed = True
        if self._making is not None:
            self._making.cancel()
            await asyncio.wait([self._making])
        self._retire()
        await asyncio.gather(*(made.close() for made in self._retiring.values()))
        while self._retiring:
            await asyncio.wait(self._retiring)

    async def _open(self) -> T:
        try:
            made = await self._make()
            self._made = made
            return made
        finally:
            self._making = None

    def _retire(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            retiring = asyncio.create_task(made.retire())
            self._retiring[retiring] = made
            retiring.add_done_callback(self._retired)

    def _retired(self, task: asyncio.Task[None]) -> None:
        del self._retiring[task]
        _look(task)


def _look(task: asyncio.Task[Any]) -> None:
    """Look at how a task ended, which nobody else may: asyncio would complain."""
    if not task.cancelled():
        task.exception()
