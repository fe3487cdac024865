"""Did a fault act? Counted once per fault, from what the world saw and from what the history tells.

A fault that was in force but met nothing proves nothing. Where the world has counters of
its own (the embedded proxy, the exit of a process), they count. Where it has none, the
history does: what reached the server, what failed at it, what its script did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rpe.chaos.history import History
from rpe.chaos.world.world import Evidence, Means

__all__ = ["count_fired"]


def count_fired(
    evidence: Mapping[str, Evidence], history: History, *, origin_s: float
) -> tuple[int, dict[str, Any]]:
    """Return how often the actions of one fault acted, and what says so, action by action.

    Arguments:
        evidence: what the world knows of each action of the fault, by its name.
        history: the whole history, with the journals of the servers in it.
        origin_s: the moment on the monotonic clock that the history counts from.
    """
    total = 0
    told: dict[str, Any] = {}
    for key, known in evidence.items():
        spans = [(start_s - origin_s, end_s - origin_s) for start_s, end_s in known.spans]
        counts = Counter({str(Means.OBSERVED): known.count})
        if known.means is not Means.OBSERVED:
            counts.update(_COUNTERS[known.means](known.server, spans, history))
        counts = +counts
        total += counts.total()
        told[key] = {
            "server": known.server,
            "means": str(known.means),
            "times": len(spans),
            **known.details,
            **counts,
        }
    return total, told


Spans = Sequence[tuple[float, float]]


def _within(t: float | None, spans: Spans) -> bool:
    return t is not None and any(start_s <= t <= end_s for start_s, end_s in spans)


def _overlaps(start_s: float, end_s: float | None, spans: Spans) -> bool:
    return any(start_s <= to_s and (end_s is None or end_s >= from_s) for from_s, to_s in spans)


def _traffic(server: str, spans: Spans, history: History) -> Counter[str]:
    """What arrived at the server or was tried at it; where neither is told, what failed meanwhile."""
    counts = Counter(
        attempts=sum(
            attempt.endpoint == server and _overlaps(attempt.started_s, attempt.ended_s, spans)
            for attempt in history.attempts
        ),
        arrivals=sum(event.server == server and _within(event.t, spans) for event in history.server_events),
    )
    return counts if counts.total() else _failures(server, spans, history)


def _failures(server: str, spans: Spans, history: History) -> Counter[str]:
    """Attempts that failed at the server; where the client reports none, operations that did not succeed."""
    counts = Counter(
        failed_attempts=sum(
            attempt.endpoint == server
            and attempt.outcome not in (None, "success")
            and _overlaps(attempt.started_s, attempt.ended_s, spans)
            for attempt in history.attempts
        )
    )
    if not history.attempts:
        counts["failed_operations"] = sum(
            operation.endpoint in (None, server)
            and operation.outcome in ("failed", "maybe")
            and _overlaps(operation.started_s, operation.ended_s, spans)
            for operation in history.operations.values()
        )
    return counts


def _scripted(server: str, spans: Spans, history: History) -> Counter[str]:
    """Calls that the server's journal says its script did something to, or that the server failed."""
    return Counter(
        scripted=len(
            {
                (event.call, event.fields.get("seq"))
                for event in history.server_events
                if event.server == server
                and (event.fault is not None or event.kind == "failed")
                and _within(event.t, spans)
            }
        )
    )


_COUNTERS = {Means.TRAFFIC: _traffic, Means.FAILURES: _failures, Means.SCRIPTED: _scripted}
