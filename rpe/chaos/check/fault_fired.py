"""fault_fired: each fault was really in force, and really acted on something."""

from __future__ import annotations

from rpe.chaos.check.base import Check, passed, unknown
from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.records import FaultRecord
from rpe.chaos.result import CheckResult

__all__ = ["CHECK"]

NAME = "fault_fired"


def fault_fired(history: History, plan: Plan) -> CheckResult:
    """Look at each planned fault: asked for, read back, acted, healed.

    A fault that was not in force says nothing against the client, so the verdict is unknown.
    """
    missing: list[str] = []
    acted: list[str] = []
    for planned in plan.faults:
        told = history.faults.get(planned.name)
        problem = _problem(told)
        if problem is not None:
            where = ", ".join(planned.on) or "nothing"
            missing.append(f"{planned.name} ({planned.kind} on {where}): {problem}")
        elif told is not None:
            acted.append(f"{planned.name} {told.fired} times")
    if missing:
        return unknown(NAME, f"{len(missing)} of {len(plan.faults)} faults were not seen to act", missing)
    if not acted:
        return unknown(NAME, "the plan holds no fault, so it proves nothing")
    return passed(NAME, f"each fault was in force and acted: {', '.join(acted)}")


def _problem(told: FaultRecord | None) -> str | None:
    if told is None or told.asked_s is None:
        return "it was never applied"
    if told.error is not None:
        return f"it failed: {told.error}"
    if told.applied_s is None:
        return "it was asked for, but did not come into force"
    if not told.verified:
        return "reading back did not show it in force"
    if told.healed_s is None:
        return "it was not healed"
    if told.fired is None:
        return "nobody counted how often it acted"
    return None if told.fired > 0 else "it never acted on anything"


CHECK = Check(
    NAME, "Each fault was in force, read back, and acted at least once.", fault_fired, waivable=False
)
