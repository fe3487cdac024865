"""Expectations: a measured value against the bounds that a scenario sets."""

from __future__ import annotations

from rpe.chaos.check.examples import examples
from rpe.chaos.check.measures import MEASURES
from rpe.chaos.check.scope import Scope, window_span
from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.result import CheckResult, Status
from rpe.chaos.scenario.model import Expectation
from rpe.chaos.scenario.timing import Span

__all__ = ["expectation_name", "judge_expectation"]


def expectation_name(expectation: Expectation) -> str:
    """Return the name an expectation has among the checks, such as `expect success_ratio during slow`."""
    return f"expect {expectation.title}"


def judge_expectation(history: History, plan: Plan, expectation: Expectation) -> CheckResult:
    """Measure in the window as it really was, and compare.

    Unknown where the window never opened or there was nothing to measure: a bound is not
    kept by what was not seen.
    """
    measure = MEASURES[expectation.measure]
    window = window_span(history, plan, expectation.during)
    if window is None:
        return _result(expectation, Status.UNKNOWN, f"the window {expectation.during} was never open")
    span = _narrowed(window, expectation)
    where = f"from {span.start_s:.3f} s to {span.end_s:.3f} s"
    scope = Scope(history, plan, span, expectation)
    value = measure.value(scope)
    if value is None:
        return _result(expectation, Status.UNKNOWN, f"there was nothing to measure {where}")
    if expectation.holds(value):
        return _result(expectation, Status.PASS, f"{value:.4g}, wanted {expectation.wanted}", value)
    summary = f"{value:.4g} {where}, wanted {expectation.wanted}"
    return _result(expectation, Status.FAIL, summary, value, examples(scope, measure.shows))


def _narrowed(window: Span, expectation: Expectation) -> Span:
    start_s = window.start_s + (expectation.from_s or 0.0)
    end_s = window.end_s
    if expectation.within_s is not None:
        end_s = min(end_s, window.start_s + expectation.within_s)
    return Span(start_s=start_s, end_s=max(start_s, end_s))


def _result(
    expectation: Expectation,
    status: Status,
    summary: str,
    measured: float | None = None,
    evidence: tuple[str, ...] = (),
) -> CheckResult:
    return CheckResult(
        name=expectation_name(expectation),
        status=status,
        summary=summary,
        evidence=evidence,
        window=expectation.during,
        measured=measured,
        wanted=expectation.wanted,
    )
