"""A load plan in the language of scenarios, and what is drawn from it: windows, faults, a timeline."""

from __future__ import annotations

from rpe.chaos.guards import ScriptedFault
from rpe.chaos.plan import Plan, fault_steps
from rpe.chaos.scenario.faults import Timed
from rpe.chaos.scenario.matrix import Cell
from rpe.chaos.scenario.model import Scenario
from rpe.chaos.timeline import Beginning, Entry
from rpe.chaos.versions import versions
from rpe.fakes.behaviour import Behaviour
from rpe.loadtest.model import LoadPlan

__all__ = ["as_scenario", "draw", "scripted_faults", "timeline_entries"]


def as_scenario(plan: LoadPlan) -> Scenario:
    """Return the servers, faults and windows of a plan as a scenario without workload.

    It is made without validation, since a scenario has to have faults, and a load test has not.
    """
    return Scenario.model_construct(
        {"name", "proves", "servers", "duration_s", "faults", "windows"},
        name=plan.name,
        proves=plan.proves,
        servers=plan.servers or dict.fromkeys(plan.endpoints, Behaviour()),
        workload=(),
        duration_s=float(plan.duration_s),
        faults=plan.faults,
        windows=plan.windows,
    )


def draw(plan: LoadPlan, seed: int) -> Plan:
    """Decide the faults and windows of a run: the same for the same seed. Raises ScenarioError."""
    scenario = as_scenario(plan)
    cell = Cell(plan.name, scenario, plan.transport, {})
    return Plan.draw(cell, seed, versions=versions())


def scripted_faults(plan: LoadPlan, drawn: Plan) -> list[ScriptedFault]:
    """Return each fault of a plan with its steps."""
    return [
        ScriptedFault(
            fault.name,
            fault.kind,
            fault.settings.targets,
            fault_steps(fault, drawn.windows[fault.name], drawn.seed),
        )
        for fault in plan.faults
    ]


def timeline_entries(plan: LoadPlan, faults: list[ScriptedFault]) -> list[Entry]:
    """Return what the timeline of a run plays."""
    entries = [
        Entry(fault.name, _beginning(fault), fault.for_s, scripted)
        for fault, scripted in zip(plan.faults, faults, strict=True)
    ]
    return entries + [Entry(window.name, _beginning(window), window.for_s) for window in plan.windows]


def _beginning(entry: Timed) -> Beginning:
    if entry.after is None:
        return Beginning(entry.at_s or 0.0)
    return Beginning(entry.after.delay_s, entry.after.window, entry.after.edge)
