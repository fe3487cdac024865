"""What a runner counts and times for each node."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rpe.node.latencies import KEPT_LATENCIES, nearest_rank

if TYPE_CHECKING:
    from rpe.node.remote.metrics import RemoteMeter, RemoteMetrics

__all__ = ["Meter", "NodeMetrics"]


@dataclass(frozen=True, slots=True)
class NodeMetrics:
    """One node's figures at one moment, over all runs of its runner.

    items_in, items_out: the items it took and gave; control messages that pass it by are in neither.
    errors: how many of its calls failed, whether or not an error port took the error.
    busy_s: the seconds spent in the node itself, without waiting for room after it.
    latencies_s: the seconds of each of the last items, the oldest first.
    remote: the figures of what it calls on other machines; None for a node that calls none.

    A node that drives itself has no seconds: which item it is busy with, nobody knows.
    """

    items_in: int = 0
    items_out: int = 0
    errors: int = 0
    busy_s: float = 0.0
    latencies_s: tuple[float, ...] = field(default=(), repr=False)
    remote: RemoteMetrics | None = None

    def latency_s(self, percent: float) -> float | None:
        """The percentile of the latencies by nearest rank, in seconds; None where there are none."""
        return nearest_rank(self.latencies_s, percent)


class Meter:
    """Collects the figures of one node."""

    __slots__ = ("_latencies_s", "busy_s", "errors", "items_in", "items_out", "remote")

    def __init__(self) -> None:
        self.items_in = self.items_out = self.errors = 0
        self.busy_s = 0.0
        self.remote: RemoteMeter | None = None
        self._latencies_s: deque[float] = deque(maxlen=KEPT_LATENCIES)

    def item_took(self, latency_s: float) -> None:
        """One item was processed, or failed, after so many seconds."""
        self._latencies_s.append(latency_s)

    def snapshot(self) -> NodeMetrics:
        """Return the figures as they are now."""
        return NodeMetrics(
            self.items_in,
            self.items_out,
            self.errors,
            self.busy_s,
            tuple(self._latencies_s),
            None if self.remote is None else self.remote.snapshot(),
        )
