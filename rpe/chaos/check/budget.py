"""budget: retries stay within the retry budget, so that an outage does not multiply its own load."""

from __future__ import annotations

from collections import Counter

from rpe.chaos.check.base import Check, failed, passed, unknown
from rpe.chaos.check.traffic import seen_attempts
from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.result import CheckResult

__all__ = ["CHECK"]

NAME = "budget"

RESERVE_S = 2.0
"""A budget may hold in reserve what flows in during so long, and one attempt more."""


def budget(history: History, plan: Plan) -> CheckResult:
    """Compare all attempts of the run with what the budget that was asked for allows.

    Each operation pays for its first attempt and for `ratio` of another, and `min_per_s`
    flow in all the time (Finagle's retry budget).
    """
    asked = plan.client.budget
    if asked is None:
        return passed(NAME, "not applicable: the scenario asks for no retry budget")
    attempts = history.once(seen_attempts)
    operations = len(history.operations)
    if not attempts or not operations:
        return unknown(NAME, "neither the client nor a server tells of any attempt")
    earned = operations * asked.ratio + asked.min_per_s * (history.end_s + RESERVE_S) + 1
    allowed = operations + earned
    told = f"{len(attempts)} attempts for {operations} operations, the budget allows {allowed:.0f}"
    if len(attempts) <= allowed:
        return passed(NAME, told)
    most = Counter(attempt.op for attempt in attempts).most_common(8)
    return failed(
        NAME, told, [f"{op or 'calls of no known operation'}: {count} attempts" for op, count in most]
    )


CHECK = Check(NAME, "All attempts together stay within the retry budget that was asked for.", budget)
