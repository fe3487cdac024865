"""load_floor: the load was what the scenario promised, or the run says nothing."""

from __future__ import annotations

from collections import Counter

from rpe.chaos.check.base import Check, passed, unknown
from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.result import CheckResult

__all__ = ["CHECK"]

NAME = "load_floor"


def load_floor(history: History, plan: Plan) -> CheckResult:
    """Count the operations that were started, over all and of each workload."""
    started = Counter(operation.workload for operation in history.operations.values())
    total = started.total()
    silent = [workload.name for workload in plan.workloads if workload.due_s and not started[workload.name]]
    evidence = [
        f"{workload.name}: {len(workload.due_s)} planned, {started[workload.name]} started"
        for workload in plan.workloads
    ]
    evidence += [f"{len(history.missed)} missed"] if history.missed else []
    if total < plan.floor.operations:
        return unknown(
            NAME, f"{total} operations were started, the floor is {plan.floor.operations}", evidence
        )
    if silent:
        return unknown(NAME, f"nothing was started of {', '.join(silent)}", evidence)
    return passed(NAME, f"{total} operations were started, the floor is {plan.floor.operations}")


CHECK = Check(NAME, "As many operations were started as the scenario needs.", load_floor, waivable=False)
