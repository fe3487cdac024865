"""Measures of what the client reports of itself: breakers, probes, health."""

from __future__ import annotations

from rpe.chaos.check.measures.registry import measure
from rpe.chaos.check.scope import Scope

__all__: list[str] = []


def _changes_to(scope: Scope, state: str) -> float | None:
    if not scope.history.reports_breaker:
        return None
    return sum(change.after == state for change in scope.breaker_changes())


@measure(
    "breaker_opened",
    "How often a breaker opened, as the client reports it.",
    takes=["endpoint"],
    shows="changes",
)
def breaker_opened(scope: Scope) -> float | None:
    """Changes to open."""
    return _changes_to(scope, "open")


@measure(
    "breaker_closed",
    "How often a breaker closed again, as the client reports it.",
    takes=["endpoint"],
    shows="changes",
)
def breaker_closed(scope: Scope) -> float | None:
    """Changes to closed."""
    return _changes_to(scope, "closed")


@measure(
    "probes",
    "How many attempts were probes of a breaker, as the client reports it.",
    takes=["endpoint"],
    shows="changes",
)
def probes(scope: Scope) -> float | None:
    """Attempts that are marked as probes."""
    if not scope.history.reports_breaker:
        return None
    return sum(attempt.probe for attempt in scope.reported_attempts())


@measure(
    "health_changes",
    "How often an endpoint became well or unwell in the client's eyes.",
    takes=["endpoint"],
    shows="changes",
)
def health_changes(scope: Scope) -> float | None:
    """Changes of health; None where the client tells of none in the whole run."""
    return len(scope.health_changes()) if scope.history.health_changes else None


@measure(
    "detect_s",
    "How long after the window's beginning the client first reported an endpoint as bad: "
    "its breaker opened, or its health turned. In seconds.",
    takes=["endpoint"],
    shows="changes",
)
def detect_s(scope: Scope) -> float | None:
    """The first sign of notice, from the window's beginning."""
    noticed = [change.t for change in scope.breaker_changes() if change.after == "open"]
    noticed += [change.t for change in scope.health_changes() if not change.healthy]
    return min(noticed) - scope.span.start_s if noticed else None
