"""Closing connections on which nothing happens, where the handler wants that."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from aiohttp import web

from rpe.transport.serving import PipelineHandler

__all__ = ["IdleConnections"]


class IdleConnections:
    """Closes a connection `handler.idle_timeout_s()` seconds after its last answer.

    It is asked again after each answer, for a fake may be told something else while it runs.
    """

    def __init__(self, handler: PipelineHandler) -> None:
        self._handler = handler
        self._timers: WeakKeyDictionary[asyncio.Transport, asyncio.TimerHandle] = WeakKeyDictionary()

    @contextmanager
    def busy(self, request: web.Request) -> Iterator[None]:
        """Hold a connection open inside, and start its time when it is left."""
        transport = request.transport
        if transport is None:
            yield
            return
        if (timer := self._timers.pop(transport, None)) is not None:
            timer.cancel()
        try:
            yield
        finally:
            idle_s = self._handler.idle_timeout_s()
            if idle_s is not None and not transport.is_closing():
                loop = asyncio.get_running_loop()
                # The answer itself is written after this, in much less time than a connection is idle.
                self._timers[transport] = loop.call_later(idle_s, self._close, transport)

    def _close(self, transport: asyncio.Transport) -> None:
        if not transport.is_closing():
            transport.close()
            self._handler.idle_closed()

    def stop(self) -> None:
        """Forget every connection."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
