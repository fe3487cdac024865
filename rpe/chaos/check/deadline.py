"""deadline: an operation ends by its deadline, whatever its attempts, backoffs and fallbacks take."""

from __future__ import annotations

from rpe.chaos.check.base import Check, failed, operation_at, passed, unknown
from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.result import CheckResult

__all__ = ["CHECK"]

NAME = "deadline"


def deadline(history: History, plan: Plan) -> CheckResult:
    """Compare how long each operation took, from its start, with its deadline and the plan's slack."""
    late: list[str] = []
    judged = 0
    for operation in history.operations.values():
        if operation.ended_s is None or operation.timeout_s is None:
            continue
        judged += 1
        took_s = operation.ended_s - operation.started_s
        if took_s > operation.timeout_s + plan.slack_s(operation.timeout_s):
            what = f"ended after {took_s:.3f} s, its deadline was {operation.timeout_s:.3f} s"
            late.append(operation_at(operation, what))
    if late:
        return failed(NAME, f"{len(late)} of {judged} operations outlived their deadline", late)
    if not judged:
        return unknown(NAME, "no operation with a deadline ended")
    return passed(NAME, f"each of {judged} operations ended by its deadline")


CHECK = Check(
    NAME, "Every operation ends by its deadline, plus a little slack for the machine.", deadline, timed=True
)
