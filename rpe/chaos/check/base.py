"""What every check is made of: a name, the promise it holds the run to, and a pure function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.records import Operation
from rpe.chaos.result import CheckResult, Status

__all__ = [
    "Check",
    "CheckFunction",
    "at",
    "ended",
    "failed",
    "few",
    "operation_at",
    "passed",
    "unknown",
]

CheckFunction = Callable[[History, Plan], CheckResult]

EVIDENCE_LIMIT = 8
"""How many events a failed check lists; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Check:
    """A check that always runs.

    `waivable` says that a scenario may declare it not applicable, `timed` that a machine
    which stands still can break the promise in the client's place.
    """

    name: str
    promise: str
    run: CheckFunction
    waivable: bool = True
    timed: bool = False


def passed(name: str, summary: str) -> CheckResult:
    """The promise was kept, and there was something to see it by."""
    return CheckResult(name=name, status=Status.PASS, summary=summary)


def failed(name: str, summary: str, evidence: Sequence[str]) -> CheckResult:
    """The promise was broken, by these events."""
    return CheckResult(name=name, status=Status.FAIL, summary=summary, evidence=few(evidence))


def unknown(name: str, summary: str, evidence: Sequence[str] = ()) -> CheckResult:
    """It cannot be told."""
    return CheckResult(name=name, status=Status.UNKNOWN, summary=summary, evidence=few(evidence))


def few(evidence: Sequence[str]) -> tuple[str, ...]:
    """Return the first pieces of evidence, and how many more there are."""
    shown = tuple(evidence[:EVIDENCE_LIMIT])
    more = len(evidence) - len(shown)
    return (*shown, f"and {more} more") if more else shown


def at(t: float, what: str) -> str:
    """Put the time before a piece of evidence."""
    return f"at {t:.3f} s: {what}"


def operation_at(operation: Operation, what: str) -> str:
    """Tell of an operation: when it started, its id, where it went, and what is to be said."""
    where = f" at {operation.endpoint}" if operation.endpoint else ""
    return at(operation.started_s, f"{operation.op}{where} {what}")


def ended(operation: Operation) -> str:
    """How an operation ended, in a few words."""
    if operation.ended_s is None:
        return "never ended"
    took_s = operation.ended_s - operation.started_s
    code = f" ({operation.code})" if operation.code and not operation.ok else ""
    return f"ended {operation.outcome}{code} after {took_s:.3f} s"
