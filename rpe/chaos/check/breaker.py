"""breaker: an endpoint whose breaker is open is left alone, but for its probes."""

from __future__ import annotations

from collections import defaultdict

from rpe.chaos.check.base import Check, at, failed, passed, unknown
from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.records import Attempt, BreakerChange
from rpe.chaos.result import CheckResult

__all__ = ["CHECK"]

NAME = "breaker"


def breaker(history: History, plan: Plan) -> CheckResult:
    """Follow each breaker through its reported changes, and look at each attempt's start on the way.

    While it is open or half open, only probes may start; while half open, no more of them
    may be under way than must succeed to close it.
    """
    if not history.reports_breaker:
        return passed(NAME, "not applicable: the client reports no breaker")
    if not history.attempts:
        return unknown(NAME, "the client reports its breakers, but none of its attempts")
    states: dict[str, str] = defaultdict(lambda: "closed")
    probing: dict[str, list[Attempt]] = defaultdict(list)
    limit = plan.client.breaker.success_threshold if plan.client.breaker else 1
    wrong: list[str] = []
    steps: list[Attempt | BreakerChange] = [*history.attempts, *history.breaker_changes]
    for step in sorted(steps, key=lambda step: step.position):
        if isinstance(step, BreakerChange):
            states[step.endpoint] = step.after
            if step.after != "half_open":
                probing[step.endpoint].clear()
            continue
        state = states[step.endpoint]
        label = f"{step.op} attempt {step.attempt} at {step.endpoint}"
        if state != "closed" and not step.probe:
            wrong.append(
                at(step.started_s, f"{label} started while its breaker was {state}, and is no probe")
            )
        elif state == "half_open":
            under_way = [
                probe
                for probe in probing[step.endpoint]
                if probe.ended_s is None or probe.ended_s > step.started_s
            ]
            probing[step.endpoint] = [*under_way, step]
            if len(under_way) >= limit:
                wrong.append(
                    at(step.started_s, f"{label} is probe number {len(under_way) + 1} at the same time")
                )
    if wrong:
        return failed(
            NAME, f"{len(wrong)} attempts went to endpoints whose breakers should have kept them away", wrong
        )
    opened = sum(change.after == "open" for change in history.breaker_changes)
    told = f"breakers opened {opened} times, and let only probes through" if opened else "no breaker opened"
    return passed(NAME, told)


CHECK = Check(NAME, "No attempt goes to an endpoint whose breaker is open, beyond its probes.", breaker)
