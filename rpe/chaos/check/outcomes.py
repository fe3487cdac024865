"""outcome_known: what must not be done twice is not, and what was done is not denied."""

from __future__ import annotations

from rpe.chaos.check.base import Check, failed, operation_at, passed, unknown
from rpe.chaos.check.traffic import ServedCall, executions
from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.result import CheckResult

__all__ = ["CHECK"]

NAME = "outcome_known"

CUT_FROM_OUTSIDE = frozenset({"overran", "cancelled"})
"""Codes of ends that the client did not choose: it was cancelled, and so claims nothing."""


def outcome_known(history: History, plan: Plan) -> CheckResult:
    """Compare the outcomes of operations that must not be repeated with the servers' journals."""
    single = [operation for operation in history.operations.values() if not operation.repeatable]
    if not single:
        return passed(NAME, "not applicable: every operation of this load may be repeated")
    if not history.server_events:
        return unknown(NAME, "no journal of a server tells what was done")
    done = history.once(executions)
    wrong: list[str] = []
    for operation in single:
        made = done.get(operation.op, [])
        if len(made) > 1:
            wrong.append(
                operation_at(
                    operation, f"must not be repeated, but was done {len(made)} times: {_told(made)}"
                )
            )
        elif made and operation.outcome == "failed" and operation.code not in CUT_FROM_OUTSIDE:
            what = f"was reported as not done ({operation.code}), but was done: {_told(made)}"
            wrong.append(operation_at(operation, what))
    if wrong:
        return failed(NAME, f"{len(wrong)} of {len(single)} operations were repeated or denied", wrong)
    return passed(
        NAME, f"none of {len(single)} operations that must not be repeated was done twice or denied"
    )


def _told(made: list[ServedCall]) -> str:
    return ", ".join(f"{call.server} at {call.executed_s or call.t:.3f} s" for call in made)


CHECK = Check(
    NAME,
    "What must not be repeated is done at most once, and never reported as not done when it was.",
    outcome_known,
)
