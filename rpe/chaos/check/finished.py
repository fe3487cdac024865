"""finished: the run went to its planned end, so that its history tells all of it."""

from __future__ import annotations

from rpe.chaos.check.base import Check, passed, unknown
from rpe.chaos.history import FINISHED, History
from rpe.chaos.plan import Plan
from rpe.chaos.result import CheckResult

__all__ = ["CHECK"]

NAME = "finished"


def finished(history: History, plan: Plan) -> CheckResult:
    """Look for the end of the run and its reason."""
    if history.end_reason is None:
        last = "its last line is cut short" if history.cut else f"its last event is at {history.end_s:.3f} s"
        return unknown(NAME, f"the history stops before the end of the run: {last}")
    if history.end_reason != FINISHED:
        return unknown(NAME, f"the run was ended early: {history.end_reason}")
    return passed(NAME, f"the run went to its end, at {history.end_s:.3f} s")


CHECK = Check(NAME, "The run went to its planned end.", finished, waivable=False)
