"""The timeline of a run: faults come into force and are healed, windows open and close, each at its time.

Times are told absolutely, or by the edge of another window. Edges are followed as they
really happen, not as they were planned: where a server takes long to start again, what
follows its recovery waits for it. Nothing begins at or after the end of the run, and
everything has ended by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal

from rpe.chaos.guards import FaultGuard, Record, ScriptedFault
from rpe.chaos.world.world import World
from rpe.clock import Clock

__all__ = ["Beginning", "Entry", "Timeline"]


@dataclass(frozen=True, slots=True)
class Beginning:
    """When a window begins: `delay_s` after an edge of another one, or after the start of the run."""

    delay_s: float
    after: str | None = None
    edge: Literal["start", "end"] = "end"


@dataclass(frozen=True, slots=True)
class Entry:
    """One window of a run; with a fault, it is open while the fault is in force. `for_s` None: to the end."""

    name: str
    begins: Beginning
    for_s: float | None
    fault: ScriptedFault | None = None


@dataclass(slots=True)
class _Edges:
    """When a window opened and closed, on the clock; None where it never did."""

    start: asyncio.Future[float | None] = field(default_factory=asyncio.Future)
    end: asyncio.Future[float | None] = field(default_factory=asyncio.Future)

    def settle(self) -> None:
        """Whoever still waits for an edge learns that it never comes."""
        for edge in (self.start, self.end):
            if not edge.done():
                edge.set_result(None)


class Timeline:
    """Plays the entries of a run in one world.

    Arguments:
        entries: the windows, with or without faults; names are unique.
        duration_s: the end of the run, in seconds from its origin.
        world, record, clock: as for `FaultGuard`.
        origin_s: the moment on the clock when the run began.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        *,
        duration_s: float,
        world: World,
        record: Record,
        clock: Clock,
        origin_s: float,
    ) -> None:
        self._entries = entries
        self._end_s = origin_s + duration_s
        self._origin_s = origin_s
        self._world = world
        self._record = record
        self._clock = clock
        self._edges: Mapping[str, _Edges] = {}
        self.active: dict[str, None] = {}
        """The names of the faults in force now."""

    async def play(self) -> None:
        """Play all entries to the end of the run.

        Raises an ExceptionGroup where a fault could not be applied or healed; all others
        are healed then, as they are on cancellation.
        """
        self._edges = {entry.name: _Edges() for entry in self._entries}
        async with asyncio.TaskGroup() as tasks:
            for entry in self._entries:
                tasks.create_task(self._play(entry), name=f"window-{entry.name}")

    async def _play(self, entry: Entry) -> None:
        edges = self._edges[entry.name]
        try:
            begin_s = await self._beginning(entry.begins)
            if begin_s is None or begin_s >= self._end_s:
                return
            await self._clock.sleep_until(begin_s)
            async with self._in_force(entry) as guard:
                opened_s = self._clock.now()
                self._record("window.open", window=entry.name)
                edges.start.set_result(opened_s)
                if guard is not None:
                    self.active[entry.name] = None
                    await guard.play()
                close_s = self._end_s if entry.for_s is None else min(opened_s + entry.for_s, self._end_s)
                await self._clock.sleep_until(close_s)
            self._record("window.close", window=entry.name)
            edges.end.set_result(self._clock.now())
        finally:
            self.active.pop(entry.name, None)
            edges.settle()

    async def _beginning(self, begins: Beginning) -> float | None:
        if begins.after is None or begins.after not in self._edges:
            # The run itself is the only other window there is; its start is the origin, its end is too late.
            follows_end = begins.after is not None and begins.edge == "end"
            return None if follows_end else self._origin_s + begins.delay_s
        edges = self._edges[begins.after]
        # Shielded, because a waiter that is cancelled must not take the edge from the others.
        edge_s = await asyncio.shield(edges.start if begins.edge == "start" else edges.end)
        return None if edge_s is None else edge_s + begins.delay_s

    def _in_force(self, entry: Entry) -> AbstractAsyncContextManager[FaultGuard | None]:
        if entry.fault is None:
            return nullcontext()
        return FaultGuard(self._world, entry.fault, self._record, clock=self._clock)
