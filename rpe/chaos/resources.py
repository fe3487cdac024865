"""What this process holds at one moment, so that a client that leaks can be seen."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from rpe.clock import Clock

__all__ = ["Snapshot", "settled_snapshot", "take_snapshot"]

PASSING = ("tasks", "children", "sockets")
"""What is given back within moments. Threads and descriptors that a library starts at first use stay."""

SETTLE_S = 3.0
"""How long resources that are being given back may take: sockets close and threads end a little later."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Counts of what is held; `in_flight` is what the client under test says of itself."""

    tasks: int
    fds: int
    threads: int
    children: int
    sockets: int
    in_flight: int | None = None

    def as_fields(self) -> dict[str, Any]:
        """Return the fields of the event `resource`."""
        return asdict(self)

    def settled(self, before: Snapshot) -> bool:
        """Say whether nothing that goes away by itself is held here beyond what was before."""
        return all(getattr(self, name) <= getattr(before, name) for name in PASSING)


def take_snapshot(in_flight: int | None = None) -> Snapshot:
    """Count what this process and its running event loop hold now."""
    process = psutil.Process()
    with process.oneshot():
        return Snapshot(
            tasks=len(asyncio.all_tasks()),
            fds=process.num_fds(),
            threads=process.num_threads(),
            children=len(process.children()),
            sockets=len(process.net_connections(kind="inet")),
            in_flight=in_flight,
        )


async def settled_snapshot(
    clock: Clock,
    before: Snapshot,
    let_go: Callable[[], None] | None = None,
    *,
    settle_s: float = SETTLE_S,
) -> Snapshot:
    """Collect garbage and count until everything has settled to what was before, or the time is over.

    `let_go` gives back what others keep for a client that has said goodbye.

    Collected is again and again: a call that was cancelled a moment ago is still in use, and
    is garbage in a circle, with its connection, only once the loop has told it so.
    """
    until_s = clock.now() + settle_s
    while True:
        if let_go is not None:
            let_go()
        gc.collect()
        snapshot = take_snapshot()
        if snapshot.settled(before) or clock.now() >= until_s:
            return snapshot
        await clock.sleep(0.02)
