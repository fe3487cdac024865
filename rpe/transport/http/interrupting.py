"""Breaking off what another task is waiting for, without cancelling that task."""

from __future__ import annotations

import asyncio
from types import TracebackType

__all__ = ["Interrupted", "Waits"]


class Interrupted(Exception):
    """Raised by `Waits` in the task whose wait was broken off."""


class Waits:
    """The waits of several tasks, each in its own `with waits.one():`, that anybody may break off.

    It is done as asyncio does its own timeouts: the waiting task is cancelled, and takes
    that back at the edge of the block. A cancel from elsewhere that comes at the same time
    is not taken back, and wins.
    """

    __slots__ = ("_running",)

    def __init__(self) -> None:
        self._running: set[_Wait] = set()

    def one(self) -> _Wait:
        """Return the context of one wait. Raises Interrupted where it is broken off."""
        return _Wait(self._running)

    def interrupt(self) -> None:
        """Break off every wait that goes on now, except that of the running task itself."""
        me = asyncio.current_task() if self._running else None
        for wait in self._running:
            if wait.task is not me:
                wait.interrupt()


class _Wait:
    __slots__ = ("_cancelling", "_interrupted", "_running", "task")

    def __init__(self, running: set[_Wait]) -> None:
        self._running = running
        self._interrupted = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self._cancelling = task.cancelling()
        self._running.add(self)

    def interrupt(self) -> None:
        if not self._interrupted:
            self._interrupted = True
            self.task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.discard(self)
        if not self._interrupted:
            return
        still = self.task.uncancel()
        if kind is asyncio.CancelledError and still <= self._cancelling:
            raise Interrupted from error
