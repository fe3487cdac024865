"""What a command line says in the place of the plan: other servers, another wire, more or fewer workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rpe.chaos.scenario.errors import Problem
from rpe.chaos.scenario.wording import dotted
from rpe.errors import ConfigurationError
from rpe.loadtest.model import LoadPlan
from rpe.loadtest.reading import LoadPlanError
from rpe.loadtest.rules import broken_rules

__all__ = ["overridden"]


def overridden(
    plan: LoadPlan, *, endpoints: Sequence[str] = (), transport: str = "", workers: int | None = None
) -> LoadPlan:
    """Return a plan with these in the place of its own; what is empty or None stays.

    The endpoints take the places of the plan's servers in their order, so that its faults are done
    to them. Raises ConfigurationError where that cannot be.
    """
    update: dict[str, Any] = {}
    if endpoints:
        if plan.faults and len(endpoints) != len(plan.pool):
            raise ConfigurationError(
                f"{len(endpoints)} endpoints were given, but the plan has faults for its servers "
                f"{', '.join(plan.pool)}",
                hint="give one endpoint for each of them, in this order",
            )
        names = list(plan.pool) if plan.faults else [f"e{number}" for number in range(1, len(endpoints) + 1)]
        update |= {"servers": {}, "endpoints": dict(zip(names, endpoints, strict=True))}
    if transport:
        update["transport"] = transport
    if workers is not None:
        update["workers"] = workers
    changed = LoadPlan.model_validate({**plan.model_dump(exclude_unset=True), **update}) if update else plan
    problems = [Problem("the options", 0, dotted(path), text) for path, text in broken_rules(changed)]
    if problems:
        raise LoadPlanError(problems)
    return changed
