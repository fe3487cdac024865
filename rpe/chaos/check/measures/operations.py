"""Measures of operations: how many there were, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rpe.chaos.check.measures.registry import measure
from rpe.chaos.check.scope import Scope
from rpe.chaos.check.traffic import executions
from rpe.chaos.records import Operation

__all__: list[str] = []


def _ratio(operations: list[Operation], counts: Callable[[Operation], bool]) -> float | None:
    return sum(map(counts, operations)) / len(operations) if operations else None


@measure(
    "success_ratio",
    "The part of the operations that ended with an answer: 1 is all. One that never ended did not.",
    takes=["workload"],
)
def success_ratio(scope: Scope) -> float | None:
    """Ok operations over all."""
    return _ratio(scope.operations(), lambda operation: operation.ok)


@measure("operations", "How many operations were started.", takes=["workload"])
def operations(scope: Scope) -> float:
    """All operations."""
    return len(scope.operations())


@measure("failures", "How many operations ended without an answer, or never ended.", takes=["workload"])
def failures(scope: Scope) -> float | None:
    """Operations that are not ok."""
    found = scope.operations()
    return sum(not operation.ok for operation in found) if found else None


@measure("missed", "How many arrivals could not be started, because too many operations were running.")
def missed(scope: Scope) -> float:
    """Arrivals that were not started."""
    return sum(scope.span.holds(arrival.due_s) for arrival in scope.history.missed)


@measure(
    "error_ratio", "The part of the operations that ended without an answer: 0 is none.", takes=["workload"]
)
def error_ratio(scope: Scope) -> float | None:
    """Operations that are not ok over all."""
    return _ratio(scope.operations(), lambda operation: not operation.ok)


@measure(
    "maybe_ratio",
    "The part of the operations of which the caller was told that they may have happened.",
    takes=["workload"],
)
def maybe_ratio(scope: Scope) -> float | None:
    """Operations with the outcome maybe, over all."""
    return _ratio(scope.operations(), lambda operation: operation.outcome == "maybe")


@measure(
    "errors",
    "How many operations ended with an error, of one code, kind or node if it is named.",
    takes=["workload", "code", "kind", "node", "endpoint"],
)
def errors(scope: Scope) -> float | None:
    """Operations that ended with an error that matches."""
    wanted = scope.expectation
    found = scope.operations()
    if not found:
        return None
    return sum(
        operation.ends > 0
        and not operation.ok
        and (wanted.code is None or operation.code == wanted.code)
        and (wanted.kind is None or operation.error_kind == wanted.kind)
        and (wanted.node is None or operation.node == wanted.node)
        and scope.at_endpoint(operation.endpoint)
        for operation in found
    )


@measure(
    "share",
    "The part of the answers that one endpoint gave: 0.5 is half of them.",
    takes=["workload"],
    needs=["endpoint"],
    shows="answers",
)
def share(scope: Scope) -> float | None:
    """Answers of one endpoint over all answers of which it is known who gave them."""
    givers = [
        giver for operation in scope.operations() if operation.ok and (giver := _giver(scope, operation))
    ]
    return sum(map(scope.at_endpoint, givers)) / len(givers) if givers else None


def _giver(scope: Scope, operation: Operation) -> str | None:
    """Who answered: the caller may know, else the journals do where one server alone did the work."""
    if operation.endpoint is not None:
        return operation.endpoint
    servers = {execution.server for execution in scope.history.once(executions).get(operation.op, ())}
    return servers.pop() if len(servers) == 1 else None


@measure(
    "executions_per_operation_max",
    "How often the work of one operation was done at most, by the journals of the servers.",
    takes=["workload"],
    shows="attempts",
)
def executions_per_operation_max(scope: Scope) -> float | None:
    """The most executions of a single operation."""
    done = scope.history.once(executions)
    counts = [len(done.get(operation.op, ())) for operation in scope.operations()]
    return max(counts) if counts and any(counts) else None


@measure(
    "time_to_first_success_s",
    "How long after the window's beginning the first operation that was due in it had succeeded, in seconds.",
    takes=["workload"],
)
def time_to_first_success_s(scope: Scope) -> float | None:
    """The first successful end, from the window's beginning."""
    ended = _known(operation.ended_s for operation in scope.operations() if operation.ok)
    return min(ended) - scope.span.start_s if ended else None


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
