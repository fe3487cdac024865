"""A toxic's place in the chain of one pipe: its stage, its draw, its timer, its way on."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from rpe.faults.proxy.stage import ActsOnRemoval, Stage
from rpe.faults.proxy.stats import ToxicStats
from rpe.faults.proxy.toxic import Toxic

if TYPE_CHECKING:
    from rpe.faults.proxy.pipe import Pipe

__all__ = ["Link", "discard", "nothing"]


def discard(data: bytes, arrived_s: float = 0.0) -> None:
    """Take bytes that nobody wants any more."""


def nothing() -> None:
    """Take the end of a stream that nobody waits for."""


class Link:
    """Implements `Port` for one stage.

    Whether the toxic acts here is decided by one draw in [0, 1) for the life of the link: it
    acts while the draw is below the toxicity. So a change of attributes, or of a neighbour,
    never flips a connection, and raising the toxicity only adds connections.
    """

    __slots__ = (
        "_counted", "_due_s", "_holding", "_pipe", "_stats", "_timer",
        "acting", "draw", "finish", "rng", "send", "stage", "toxic",
    )  # fmt: skip

    def __init__(self, toxic: Toxic, pipe: Pipe, rng: Random, stats: ToxicStats) -> None:
        self.toxic = toxic
        self.rng = rng
        self.draw = rng.random()
        self.acting = self.draw < toxic.toxicity
        self.send: Callable[[bytes, float], None] = discard
        self.finish: Callable[[], None] = nothing
        self.stage: Stage[Any] = toxic.kind.stage(toxic.settings, self)
        self._pipe = pipe
        self._stats = stats
        self._counted = False
        self._holding = False
        self._due_s = math.inf
        self._timer: asyncio.TimerHandle | None = None

    now = staticmethod(time.monotonic)

    def wake_at(self, when_s: float) -> None:
        """See `Port`."""
        self.cancel_wake()
        self._due_s = when_s
        if when_s < math.inf:
            delay_s = max(0.0, when_s - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._wake)

    def cancel_wake(self) -> None:
        """See `Port`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def hold(self) -> None:
        """See `Port`."""
        if not self._holding:
            self._holding = True
            self._pipe.hold()

    def release(self) -> None:
        """See `Port`."""
        if self._holding:
            self._holding = False
            self._pipe.release()

    def close(self) -> None:
        """See `Port`."""
        self._pipe.close_at(self)

    def reset(self) -> None:
        """See `Port`."""
        self._pipe.reset()

    def acted(self, size: int = 0) -> None:
        """See `Port`."""
        stats = self._stats
        if not self._counted:
            self._counted = True
            stats.connections += 1
        if size:
            stats.chunks += 1
            stats.bytes += size

    def update(self, toxic: Toxic) -> None:
        """Take the toxic's new settings and toxicity."""
        self.toxic = toxic
        acting = self.draw < toxic.toxicity
        if self.acting and acting:
            self.stage.update(toxic.settings)
            return
        if self.acting:
            self.stage.stop()
        self.stage.settings = toxic.settings
        if acting:
            self.stage.start()
        self.acting = acting

    def remove(self) -> None:
        """The toxic is removed: what its stage holds goes on its way."""
        if self.acting:
            if isinstance(self.stage, ActsOnRemoval):
                self.stage.removed()
            else:
                self.stage.stop()
        self.sever()

    def sever(self) -> None:
        """Cut the link off: its timer is gone, and what its stage still sends is discarded."""
        self.cancel_wake()
        self.send = discard
        self.finish = nothing

    def _wake(self) -> None:
        if time.monotonic() < self._due_s:  # uvloop counts in whole milliseconds and can be early
            self.wake_at(self._due_s)
        else:
            self._timer = None
            self.stage.wake()
