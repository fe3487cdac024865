"""Gates: one figure of the load against the bounds that the plan sets."""

from __future__ import annotations

from rpe.chaos.check.base import few
from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.result import CheckResult, Status
from rpe.load.results import Results, Series
from rpe.loadtest.measures import MEASURES
from rpe.loadtest.model import Gate
from rpe.loadtest.windows import Slots, slots_of

__all__ = ["judge_gate", "series_in"]


def series_in(results: Results, slots: Slots, kind: str | None = None, name: str | None = None) -> Series:
    """Return the figures of some whole seconds."""
    return results.series(kind, name, from_s=float(slots.first), to_s=float(slots.end))


def judge_gate(gate: Gate, events: History, drawn: Plan, results: Results) -> CheckResult:
    """Measure in the whole seconds of the window as it really was, and compare.

    Unknown where the window never opened or there was nothing to measure; and where a bound
    of time was broken while the machine itself stood still.
    """
    slots = slots_of(events, drawn, gate.during, from_s=gate.from_s or 0.0, within_s=gate.within_s)
    if slots is None:
        return _result(gate, Status.UNKNOWN, f"the window {gate.during} was never open")
    if not slots.any:
        return _result(gate, Status.UNKNOWN, f"no whole second lies in the window {gate.during}")
    measure, bounds = MEASURES[gate.measure], gate.bounds
    series = series_in(results, slots, gate.kind, gate.name)
    value = measure.value(series)
    if value is None:
        return _result(gate, Status.UNKNOWN, f"there was nothing to measure {slots}")
    if bounds.holds(value):
        return _result(gate, Status.PASS, f"{value:.4g} {slots}, wanted {bounds.wanted}", value)
    summary = f"{value:.4g} {slots}, wanted {bounds.wanted}"
    stalls = [
        f"at {t:.3f} s the machine stood still for {seconds:.3f} s"
        for t, seconds in events.stalls
        if measure.timed and t < slots.end and t + seconds > slots.first
    ]
    if stalls:
        return _result(gate, Status.UNKNOWN, f"{summary}, but the machine stood still", value, stalls)
    return _result(gate, Status.FAIL, summary, value, _evidence(gate, slots, series, results))


def _evidence(gate: Gate, slots: Slots, series: Series, results: Results) -> list[str]:
    """The failures, the most frequent first; or the seconds that were slowest."""
    if not MEASURES[gate.measure].timed:
        often = sorted(series.failures.items(), key=lambda failure: -failure[1])
        missed = [f"{series.missed} missed"] if series.missed else []
        return [*missed, *(f"{times} x {text}" for text, times in often)]
    seconds = [
        (one.max_s, f"in second {slot}: p99 {one.quantile_s(0.99):.3f} s, max {one.max_s:.3f} s of {one.ok}")
        for slot in range(slots.first, slots.end)
        if (one := series_in(results, Slots(slot, slot + 1), gate.kind, gate.name)).ok
    ]
    return [text for _, text in sorted(seconds, reverse=True)]


def _result(
    gate: Gate, status: Status, summary: str, measured: float | None = None, evidence: list[str] | None = None
) -> CheckResult:
    return CheckResult(
        name=f"gate {gate.title}",
        status=status,
        summary=summary,
        evidence=few(evidence or []),
        window=gate.during,
        measured=measured,
        wanted=gate.bounds.wanted,
    )
