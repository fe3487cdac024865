"""Measures of attempts: how often the wire was used, and with which deadlines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import pairwise

from rpe.chaos.check.measures.registry import measure
from rpe.chaos.check.scope import Scope
from rpe.chaos.check.traffic import ServedCall, served_calls

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
    calls: dict[str, list[ServedCall]] = defaultdict(list)
    for call in scope.history.once(served_calls):
        if call.op is not None and call.remaining_s is not None:
            calls[call.op].append(call)
    operations = {operation.op for operation in scope.operations()}
    series = [found for op, found in calls.items() if op in operations and len(found) > 1]
    if not series:
        return None
    sent_s = {(attempt.op, attempt.attempt): attempt.started_s for attempt in scope.history.attempts}
    return float(
        all(later < earlier for found in series for earlier, later in pairwise(_told_s(found, sent_s)))
    )


def _told_s(calls: list[ServedCall], sent_s: Mapping[tuple[str, int | None], float]) -> list[float]:
    """What remained for each call of one operation, in the order of its attempts, in seconds.

    Servers tell what was left when a request reached them. Where the client reports when it
    sent each of them, the time in between is added: a machine that stands still for a moment
    would else make the deadline of a late arrival look shorter than it was sent.
    """
    calls = sorted(calls, key=lambda call: (call.attempt or 0, call.t))
    left_s = [call.remaining_s or 0.0 for call in calls]
    begun_s = [sent_s.get((call.op or "", call.attempt)) for call in calls]
    return [
        left + (max(0.0, call.t - begun) if begun is not None and None not in begun_s else 0.0)
        for call, left, begun in zip(calls, left_s, begun_s, strict=True)
    ]
