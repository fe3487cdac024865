"""ends_once: whatever happens to an operation, its caller is told exactly once."""

from __future__ import annotations

from rpe.chaos.check.base import Check, at, failed, operation_at, passed, unknown
from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.result import CheckResult

__all__ = ["CHECK"]

NAME = "ends_once"


def ends_once(history: History, plan: Plan) -> CheckResult:
    """Count the ends of each operation."""
    operations = history.operations.values()
    if not operations:
        return unknown(NAME, "no operation was started")
    wrong = [
        operation_at(operation, f"ended {operation.ends} times" if operation.ends else "never ended")
        for operation in operations
        if operation.ends != 1
    ]
    wrong += [
        at(event.t, f"{event.fields.get('op')} ended, but never started") for event in history.stray_ends
    ]
    if wrong:
        return failed(NAME, f"{len(wrong)} of {len(operations)} operations did not end exactly once", wrong)
    return passed(NAME, f"each of {len(operations)} operations ended exactly once")


CHECK = Check(NAME, "Every operation ends exactly once.", ends_once)
