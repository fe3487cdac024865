"""in_flight: when all operations have ended, the client counts none as running."""

from __future__ import annotations

from rpe.chaos.check.base import Check, failed, passed, unknown
from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.result import CheckResult

__all__ = ["CHECK"]

NAME = "in_flight"


def in_flight(history: History, plan: Plan) -> CheckResult:
    """Look at the client's own count at the end."""
    final = history.resources.get("final")
    if final is None:
        return unknown(NAME, "nobody looked at the end of the run")
    if final.in_flight is None:
        return passed(NAME, "not applicable: the client does not tell how many attempts are under way")
    if final.in_flight == 0:
        return passed(NAME, "no attempt is counted as under way at the end")
    return failed(
        NAME,
        f"the client counts {final.in_flight} attempts as under way, although every operation has ended",
        [f"at the end: in_flight = {final.in_flight}"],
    )


CHECK = Check(NAME, "When all operations have ended, the client counts no attempt as under way.", in_flight)
