"""Measures of attempts: how often the wire was used, and with which deadlines."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

from rpe.chaos.check.measures.registry import measure
from rpe.chaos.check.scope import Scope
from rpe.chaos.check.traffic import served_calls

__all__: list[str] = []


@measure(
    "attempts",
    "How many attempts were made, by the client's report and the servers' journals.",
    takes=["workload", "endpoint"],
    shows="attempts",
)
def attempts(scope: Scope) -> float | None:
    """Attempts that either side tells of; None where neither side tells of any in the whole run."""
    history = scope.history
    if not history.attempts and not history.once(served_calls):
        return None
    return len(scope.seen_attempts())


@measure(
    "attempts_per_operation",
    "How many attempts an operation took on average, over the operations that were due in the window.",
    takes=["workload"],
    shows="attempts",
)
def attempts_per_operation(scope: Scope) -> float | None:
    """All attempts of the operations in the window, over their number."""
    counts = _attempts_of_each(scope)
    return sum(counts) / len(counts) if counts and any(counts) else None


@measure(
    "attempts_per_operation_max",
    "How many attempts a single operation took at most.",
    takes=["workload"],
    shows="attempts",
)
def attempts_per_operation_max(scope: Scope) -> float | None:
    """The most attempts of a single operation."""
    counts = _attempts_of_each(scope)
    return max(counts) if counts and any(counts) else None


def _attempts_of_each(scope: Scope) -> list[int]:
    made = Counter(attempt.op for attempt in scope.seen_anywhere())
    return [made[operation.op] for operation in scope.operations()]


@measure(
    "sent_deadline_falls",
    "1 where each further attempt of an operation told its server a shorter deadline, else 0.",
    takes=["workload"],
    shows="attempts",
)
def sent_deadline_falls(scope: Scope) -> float | None:
    """Whether the remaining time that servers were told falls from attempt to attempt."""
    told: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
    for call in scope.history.once(served_calls):
        if call.op is not None and call.remaining_s is not None:
            told[call.op].append((call.attempt or 0, call.t, call.remaining_s))
    operations = {operation.op for operation in scope.operations()}
    series = [sorted(found) for op, found in told.items() if op in operations and len(found) > 1]
    if not series:
        return None
    return float(all(later[2] < earlier[2] for found in series for earlier, later in pairwise(found)))
