"""Measures of streams: sessions, and the chunks in them."""

from __future__ import annotations

from rpe.chaos.check.measures.registry import measure
from rpe.chaos.check.scope import Scope

__all__: list[str] = []

ON_TIME_S = 0.1
"""How soon after it was due a chunk must be answered to be on time, where an expectation does not say."""


@measure("streams_completed", "How many sessions ended as they should.", takes=["workload"])
def streams_completed(scope: Scope) -> float | None:
    """Sessions with the outcome ok."""
    return _sessions(scope, ok=True)


@measure("streams_broken", "How many sessions ended with an error, or never ended.", takes=["workload"])
def streams_broken(scope: Scope) -> float | None:
    """Sessions that are not ok."""
    return _sessions(scope, ok=False)


def _sessions(scope: Scope, *, ok: bool) -> float | None:
    sessions = [operation for operation in scope.operations() if operation.kind == "stream"]
    return sum(session.ok is ok for session in sessions) if sessions else None


@measure(
    "chunks_answered_ratio",
    "The part of the chunks that were answered: 1 is all.",
    takes=["workload"],
    shows="chunks",
)
def chunks_answered_ratio(scope: Scope) -> float | None:
    """Answered chunks over sent ones."""
    chunks = scope.chunks()
    return sum(bool(chunk.answers) for chunk in chunks) / len(chunks) if chunks else None


@measure(
    "chunks_on_time_ratio",
    f"The part of the chunks that were answered within on_time_s (or {ON_TIME_S} s) of when they were due.",
    takes=["workload", "on_time_s"],
    shows="chunks",
)
def chunks_on_time_ratio(scope: Scope) -> float | None:
    """Chunks answered in time, over sent ones."""
    limit_s = scope.expectation.on_time_s or ON_TIME_S
    chunks = scope.chunks()
    if not chunks:
        return None
    on_time = (bool(chunk.answers) and chunk.answers[0].t - chunk.due_s <= limit_s for chunk in chunks)
    return sum(on_time) / len(chunks)


@measure(
    "duplicates",
    "How many answers came again for a chunk that had been answered.",
    takes=["workload"],
    shows="chunks",
)
def duplicates(scope: Scope) -> float | None:
    """Answers beyond the first of each chunk."""
    chunks = scope.chunks()
    return sum(max(0, len(chunk.answers) - 1) for chunk in chunks) if chunks else None
