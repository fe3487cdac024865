"""All times of a scenario made absolute: every window's span, whatever it was told by."""

from __future__ import annotations

from collections.abc import Iterator

from rpe.chaos.scenario.faults import Timed
from rpe.chaos.scenario.model import Scenario
from rpe.chaos.scenario.wording import did_you_mean
from rpe.chaos.strict import StrictModel
from rpe.lined_yaml import Path

__all__ = ["AFTER", "BEFORE", "BUILT_IN", "RUN", "Span", "entries", "resolve_spans"]

RUN, BEFORE, AFTER = "run", "before", "after"

BUILT_IN = (RUN, BEFORE, AFTER)
"""The windows that every scenario has: the whole run, up to the first fault, from the last heal."""


class Span(StrictModel):
    """A part of a run, in seconds from its start; its end is not part of it."""

    start_s: float
    """When it begins."""
    end_s: float
    """When it ends."""

    @property
    def length_s(self) -> float:
        """How long it is, in seconds."""
        return self.end_s - self.start_s

    def holds(self, t: float) -> bool:
        """Say whether a moment lies in it."""
        return self.start_s <= t < self.end_s


def entries(scenario: Scenario) -> Iterator[tuple[Path, str, Timed, float | None]]:
    """Yield each fault and window: where it stands, its name, its beginning and its length in seconds."""
    for position, fault in enumerate(scenario.faults):
        yield ("faults", position), fault.name, fault, fault.for_s
    for position, window in enumerate(scenario.windows):
        yield ("windows", position), window.name, window, window.for_s


def resolve_spans(
    scenario: Scenario, elsewhere: frozenset[str] = frozenset()
) -> tuple[dict[str, Span], list[tuple[Path, str]]]:
    """Return the span of every window that has one, and the mistakes that leave others without.

    `elsewhere` are names that are known to exist although the scenario does not hold them
    (entries with mistakes of their own); what follows those has no span, and is no mistake.
    """
    timed = {name: (path, entry, for_s) for path, name, entry, for_s in entries(scenario)}
    spans = {RUN: Span(start_s=0.0, end_s=scenario.duration_s)}
    problems: list[tuple[Path, str]] = []

    hopeless: set[str] = set()

    def resolve(name: str, way: tuple[str, ...]) -> Span | None:
        if name in spans or name in hopeless:
            return spans.get(name)
        path, entry, for_s = timed[name]
        start_s = entry.at_s
        if entry.after is not None:
            followed = follow(entry.after.window, (*path, "after", "window"), (*way, name))
            if followed is None:
                hopeless.add(name)
                return None
            start_s = (
                followed.start_s if entry.after.edge == "start" else followed.end_s
            ) + entry.after.delay_s
        assert start_s is not None  # the model takes exactly one of at_s and after
        spans[name] = Span(start_s=start_s, end_s=scenario.duration_s if for_s is None else start_s + for_s)
        return spans[name]

    def follow(other: str, field: Path, way: tuple[str, ...]) -> Span | None:
        if other in way:
            circle = " follows ".join((*way[way.index(other) :], other))
            problems.append((field, f"windows follow each other in a circle: {circle}"))
        elif other in timed or other == RUN:
            return resolve(other, way)
        elif other in BUILT_IN:
            problems.append((field, f"{other!r} depends on the faults; follow one of them, or run"))
        elif other not in elsewhere:
            known = {RUN, *timed, *elsewhere} - {*way}
            problems.append((field, f"there is no window {other!r}; {did_you_mean(other, known)}"))
        return None

    for name in timed:
        resolve(name, ())
    faults = [spans[fault.name] for fault in scenario.faults if fault.name in spans]
    if len(faults) == len(scenario.faults) and faults and not elsewhere:
        spans[BEFORE] = Span(start_s=0.0, end_s=min(span.start_s for span in faults))
        spans[AFTER] = Span(start_s=max(span.end_s for span in faults), end_s=scenario.duration_s)
    return spans, problems
