"""The windows of a run as it really was, and the whole seconds inside of them, by which figures are kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rpe.chaos.check.scope import window_span
from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.scenario.timing import AFTER, BEFORE, RUN, Span

__all__ = ["Slots", "names_in_order", "slots_of", "span_of", "whole_seconds"]

_TINY_S = 1e-6


@dataclass(frozen=True, slots=True)
class Slots:
    """Whole seconds of a run, from the second `first` on, up to `end`, which is not among them."""

    first: int
    end: int

    @property
    def any(self) -> bool:
        """Whether there is one at all."""
        return self.end > self.first

    def __str__(self) -> str:
        return f"from {self.first} s to {self.end} s"


def span_of(events: History, drawn: Plan, name: str) -> Span | None:
    """Return when a window was really open; None where it never was. It ends with the load at the latest."""
    span = window_span(events, drawn, name)
    if span is None:
        return None
    return Span(start_s=span.start_s, end_s=max(span.start_s, min(span.end_s, drawn.duration_s)))


def whole_seconds(span: Span, *, from_s: float = 0.0, within_s: float | None = None) -> Slots:
    """Return the whole seconds in a part of a span: `from_s` after its start, to `within_s` after it."""
    end_s = span.end_s if within_s is None else min(span.end_s, span.start_s + within_s)
    first = math.ceil(span.start_s + from_s - _TINY_S)
    return Slots(first, max(first, math.floor(end_s + _TINY_S)))


def slots_of(
    events: History, drawn: Plan, name: str, *, from_s: float = 0.0, within_s: float | None = None
) -> Slots | None:
    """Return the whole seconds of a window; None where it was never open."""
    span = span_of(events, drawn, name)
    return None if span is None else whole_seconds(span, from_s=from_s, within_s=within_s)


def names_in_order(events: History, drawn: Plan) -> list[str]:
    """Return all windows that were open: the whole run, and then the others in the order of their opening."""
    names = [BEFORE, AFTER, *drawn.windows] if drawn.faults else [*drawn.windows]
    spans = {name: span for name in names if name != RUN and (span := span_of(events, drawn, name))}
    return [RUN, *sorted(spans, key=lambda name: (spans[name].start_s, spans[name].end_s))]
