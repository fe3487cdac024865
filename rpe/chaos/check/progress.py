"""progress: things work again after the last heal, and every workload worked at least once."""

from __future__ import annotations

from rpe.chaos.check.base import Check, ended, failed, operation_at, passed, unknown
from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.result import CheckResult

__all__ = ["CHECK"]

NAME = "progress"


def progress(history: History, plan: Plan) -> CheckResult:
    """Look for a success among what started after the last heal, and for one of each workload."""
    operations = history.operations.values()
    if history.last_heal_s is None:
        return unknown(NAME, "the history does not tell when the last fault was healed")
    healed_s = history.last_heal_s
    later = [operation for operation in operations if operation.started_s >= healed_s]
    if not later:
        return unknown(NAME, f"no operation was started after the last heal, at {healed_s:.3f} s")
    if not any(operation.ok for operation in later):
        return failed(
            NAME,
            f"none of {len(later)} operations succeeded after the last heal, at {healed_s:.3f} s",
            [operation_at(operation, ended(operation)) for operation in later],
        )
    seen = {operation.workload for operation in operations}
    never = sorted(seen - {operation.workload for operation in operations if operation.ok})
    if never:
        examples = [operation for operation in operations if operation.workload in never]
        return failed(
            NAME,
            f"no operation of {', '.join(never)} ever succeeded",
            [operation_at(operation, ended(operation)) for operation in examples],
        )
    first_s = min(operation.started_s for operation in later if operation.ok)
    return passed(NAME, f"the first success after the last heal started {first_s - healed_s:.3f} s after it")


CHECK = Check(
    NAME,
    "Operations succeed again after the last heal, and each workload did at least once.",
    progress,
    timed=True,
)
