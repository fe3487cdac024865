"""The pipelines that a service keeps ready, so that their connections and breakers live from call to call."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from rpe.manifest.cycles import pipeline_identity
from rpe.manifest.model import Manifest
from rpe.node.runner import PipelineRunner

__all__ = ["Runners"]

_LOG = logging.getLogger(__name__)


class _Kept:
    """One pipeline: its runner once it is open, and how many calls use it."""

    def __init__(self) -> None:
        self.runner: PipelineRunner | None = None
        self.users = 0
        self.opening = asyncio.Lock()


class Runners:
    """Open runners by what their pipelines do; labels for people make no other pipeline of one.

    At most `limit` are kept, and more only while each of them is in use: the one unused for the
    longest time goes first. A pipeline that could not be opened is not kept.
    """

    def __init__(self, make: Callable[[Manifest], PipelineRunner], limit: int) -> None:
        self._make = make
        self._limit = limit
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._kept)

    @asynccontextmanager
    async def use(self, manifest: Manifest) -> AsyncIterator[PipelineRunner]:
        """Give the open runner of a pipeline; it stays open inside.

        Raises what making and opening a runner raises. Calls that come while it is opened wait for
        that; where it fails or is cancelled, the next of them tries.
        """
        key = manifest.form("identity", pipeline_identity)
        kept = self._kept.setdefault(key, _Kept())
        kept.users += 1
        try:
            async with kept.opening:
                if kept.runner is None:
                    kept.runner = await self._make(manifest).__aenter__()
            self._kept.move_to_end(key)
            yield kept.runner
        finally:
            kept.users -= 1
            self._let_go(key, kept)

    async def close(self) -> None:
        """Close every runner, also where this is cancelled meanwhile; for when no call runs any more."""
        for kept in self._kept.values():
            self._close(kept)
        self._kept.clear()
        cancelled: asyncio.CancelledError | None = None
        while self._closing:
            try:
                await asyncio.wait(self._closing)
            except asyncio.CancelledError as late:
                cancelled = late
        if cancelled is not None:
            raise cancelled

    def _let_go(self, key: str, kept: _Kept) -> None:
        if kept.runner is None and not kept.users:
            self._kept.pop(key, None)
        unused = [key for key, each in self._kept.items() if not each.users]
        for oldest in unused[: max(len(self._kept) - self._limit, 0)]:
            self._close(self._kept.pop(oldest))

    def _close(self, kept: _Kept) -> None:
        if kept.runner is not None:
            task = asyncio.create_task(kept.runner.__aexit__(None, None, None), name="closing a pipeline")
            self._closing.add(task)
            task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.warning("a pipeline was not closed in good order: %s", type(error).__name__)
