"""Measures by name: each a pure function of a scope, with the sentence that explains it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from rpe.chaos.check.scope import Scope

__all__ = ["FILTERS", "MEASURES", "Measure", "Shows", "measure"]

Shows = Literal["failed", "slowest", "attempts", "answers", "changes", "chunks"]
"""Which events explain a value: those are shown where a bound is broken."""

FILTERS = ("workload", "endpoint", "code", "kind", "node", "on_time_s")
"""The fields of an expectation that narrow or tune what a measure looks at."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that can be measured.

    `takes` are the filters it knows, `needs` those it cannot do without. `value` returns
    None where there was nothing to measure: that is never taken for a good value.
    """

    name: str
    description: str
    takes: frozenset[str]
    needs: frozenset[str]
    shows: Shows
    value: Callable[[Scope], float | None]


MEASURES: dict[str, Measure] = {}
"""Every measure by the name it has in a scenario."""


def measure(
    name: str,
    description: str,
    *,
    takes: Iterable[str] = (),
    needs: Iterable[str] = (),
    shows: Shows = "failed",
) -> Callable[[Callable[[Scope], float | None]], Callable[[Scope], float | None]]:
    """Register a function as the measure `name`."""

    def register(value: Callable[[Scope], float | None]) -> Callable[[Scope], float | None]:
        if name in MEASURES:
            raise ValueError(f"two measures are named {name!r}")
        allowed, needed = frozenset({*takes, *needs}), frozenset(needs)
        MEASURES[name] = Measure(name, description, allowed, needed, shows, value)
        return value

    return register
