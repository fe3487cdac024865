"""What a broken expectation shows: the few events in its window that make its value what it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from rpe.chaos.check.base import at, ended, few, operation_at
from rpe.chaos.check.measures.registry import Shows
from rpe.chaos.check.scope import Scope
from rpe.chaos.records import Operation

__all__ = ["examples"]


def examples(scope: Scope, shows: Shows) -> tuple[str, ...]:
    """Return a few events of the kind that explains the measure; none where there are none."""
    return few(_EXAMPLES[shows](scope))


def _failed(scope: Scope) -> list[str]:
    return [_told(operation) for operation in scope.operations() if not operation.ok]


def _slowest(scope: Scope) -> list[str]:
    answered = [
        operation
        for operation in scope.operations()
        if operation.ok and operation.latency_s is not None and scope.at_endpoint(operation.endpoint)
    ]
    answered.sort(key=lambda operation: operation.latency_s or 0.0, reverse=True)
    return [
        operation_at(operation, f"was answered {operation.latency_s:.3f} s after it was due")
        for operation in answered[:8]
    ]


def _attempts(scope: Scope) -> list[str]:
    attempts = scope.seen_attempts()
    told = [
        f"{endpoint}: {count} attempts"
        for endpoint, count in Counter(attempt.endpoint for attempt in attempts).most_common()
    ]
    made: dict[str, list[str]] = {}
    for attempt in attempts:
        made.setdefault(attempt.op or "a call of no known operation", []).append(
            f"{attempt.endpoint} at {attempt.t:.3f} s"
        )
    # Those that took most attempts first, and in the order of time among equals.
    most = sorted(made.items(), key=lambda item: -len(item[1]))
    return told + [f"{op}: {', '.join(where)}" for op, where in most]


def _answers(scope: Scope) -> list[str]:
    counted = Counter(operation.endpoint or "not told" for operation in scope.operations() if operation.ok)
    return [f"{endpoint}: {count} answers" for endpoint, count in counted.most_common()]


def _changes(scope: Scope) -> list[str]:
    told = [
        (change.t, f"the breaker of {change.endpoint} went from {change.before} to {change.after}")
        for change in scope.breaker_changes()
    ]
    told += [
        (change.t, f"{change.endpoint} was found {'well' if change.healthy else 'unwell'}")
        for change in scope.health_changes()
    ]
    told += [
        (attempt.started_s, f"{attempt.op} probed {attempt.endpoint}")
        for attempt in scope.reported_attempts()
        if attempt.probe
    ]
    return [at(t, what) for t, what in sorted(told)]


def _chunks(scope: Scope) -> list[str]:
    late: list[tuple[float, str]] = []
    for chunk in scope.chunks():
        label = f"{chunk.op} chunk {chunk.seq}"
        if not chunk.answers:
            late.append((float("inf"), at(chunk.sent_s, f"{label} was never answered")))
        elif len(chunk.answers) > 1:
            late.append((float("inf"), at(chunk.sent_s, f"{label} was answered {len(chunk.answers)} times")))
        else:
            took_s = chunk.answers[0].t - chunk.due_s
            late.append((took_s, at(chunk.sent_s, f"{label} was answered {took_s:.3f} s after it was due")))
    late.sort(key=lambda pair: pair[0], reverse=True)
    return [told for _, told in late[:8]]


def _told(operation: Operation) -> str:
    return operation_at(operation, ended(operation))


_EXAMPLES: Mapping[Shows, Callable[[Scope], list[str]]] = {
    "failed": _failed,
    "slowest": _slowest,
    "attempts": _attempts,
    "answers": _answers,
    "changes": _changes,
    "chunks": _chunks,
}
