"""The plan of a run: a cell of a scenario with every draw made and every time absolute.

A plan is written into the run folder before the run begins. It holds all that the checks
need, so that a saved run can be judged without its scenario file; and the definition it
came from, with its credentials hidden. Drawing it twice from one seed gives the same plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field

from rpe.chaos.arrivals import constant, poisson
from rpe.chaos.scenario.carrying import misplaced_faults
from rpe.chaos.scenario.errors import Problem, ScenarioError
from rpe.chaos.scenario.faults import Fault
from rpe.chaos.scenario.matrix import Cell
from rpe.chaos.scenario.model import Allowance, Expectation, Floor, Workload
from rpe.chaos.scenario.timing import Span, resolve_spans
from rpe.chaos.scenario.wording import dotted
from rpe.chaos.secrets import without_secrets
from rpe.chaos.strict import Items, StrictModel
from rpe.chaos.subject import ClientRequest
from rpe.chaos.workload.plan import WorkloadPlan
from rpe.faults.actions import Step, as_json
from rpe.faults.kinds import FaultContext
from rpe.faults.seeds import derive

__all__ = ["Plan", "PlannedFault", "fault_steps"]

FLOOR_SHARE = 0.8
"""Which part of the planned operations must have been started, where a scenario sets no floor."""


ECHO = "echo"
"""The node type whose answer is its input."""


class PlannedFault(StrictModel):
    """One fault, decided: where, from when to when, and each of its steps."""

    name: str
    kind: str
    on: Items[str]
    start_s: float
    end_s: float
    steps: Items[dict[str, Any]]


class Plan(StrictModel):
    """All that is decided before a run begins."""

    format: Literal[1] = 1
    scenario: str
    theme: str = ""
    cell: str
    values: dict[str, Any] = Field(default={})
    proves: str
    transport: str
    seed: int
    versions: dict[str, str] = Field(default={})
    duration_s: float
    servers: Items[str]
    client: ClientRequest
    workloads: Items[WorkloadPlan]
    faults: Items[PlannedFault]
    windows: dict[str, Span]
    expect: Items[Expectation] = ()
    floor: Floor
    allow: Items[Allowance] = ()
    deadline_slack_s: float | None = None
    definition: dict[str, Any] = Field(default={}, repr=False)
    """The scenario of the cell, as a file would say it, its credentials hidden."""

    @classmethod
    def draw(cls, cell: Cell, seed: int, *, versions: Mapping[str, str] | None = None) -> Self:
        """Decide everything: arrivals and faults draw from generators derived by name from `seed`.

        Raises ScenarioError where the windows of the scenario cannot be resolved, or a fault
        cannot act on the wire of the cell.
        """
        scenario = cell.scenario
        windows, problems = resolve_spans(scenario)
        problems = [*problems, *misplaced_faults(scenario, cell.transport)]
        if problems:
            raise ScenarioError([Problem(cell.id, 0, dotted(path), message) for path, message in problems])
        workloads = tuple(_workload(workload, cell, seed) for workload in scenario.workload)
        planned = sum(len(workload.due_s) for workload in workloads)
        return cls(
            scenario=scenario.name,
            theme=cell.theme,
            cell=cell.id,
            values=dict(cell.values),
            proves=scenario.proves,
            transport=cell.transport,
            seed=seed,
            versions=dict(versions or {}),
            duration_s=scenario.duration_s,
            servers=tuple(scenario.servers),
            client=ClientRequest.model_validate(
                without_secrets(scenario.client.model_dump(exclude_unset=True))
            ),
            workloads=workloads,
            faults=tuple(_fault(fault, windows[fault.name], seed) for fault in scenario.faults),
            windows=windows,
            expect=scenario.expect,
            floor=scenario.floor or Floor(operations=max(1, int(planned * FLOOR_SHARE))),
            allow=scenario.allow,
            deadline_slack_s=scenario.deadline_slack_s,
            definition=without_secrets(scenario.model_dump(mode="json", exclude_unset=True)),
        )

    @property
    def echoes(self) -> bool:
        """Whether the pipeline gives back what it is given, so that the answer is known beforehand."""
        return str(self.definition.get("manifest", ECHO)).lower() == ECHO

    def slack_s(self, timeout_s: float) -> float:
        """Return how late an operation with this deadline may end, in seconds."""
        return max(0.25, 0.1 * timeout_s) if self.deadline_slack_s is None else self.deadline_slack_s

    def to_json(self) -> str:
        """Return the plan as JSON text."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a plan; raises ValueError where the text is not one."""
        return cls.model_validate_json(text)


def fault_steps(fault: Fault, span: Span, seed: int) -> tuple[Step, ...]:
    """Return what a fault does and when, with the draws that belong to its name."""
    return fault.settings.actions(FaultContext(span.length_s, derive(seed, "fault", fault.name)))


def _fault(fault: Fault, span: Span, seed: int) -> PlannedFault:
    return PlannedFault(
        name=fault.name,
        kind=fault.kind,
        on=fault.settings.targets,
        start_s=span.start_s,
        end_s=span.end_s,
        steps=tuple(without_secrets(as_json(step)) for step in fault_steps(fault, span, seed)),
    )


def _workload(workload: Workload, cell: Cell, seed: int) -> WorkloadPlan:
    stop_s = min(workload.stop_s or cell.scenario.duration_s, cell.scenario.duration_s)
    if workload.rate_per_s is None:
        due_s = (workload.start_s,) * (workload.sessions or 1)
    elif workload.arrivals == "constant":
        due_s = constant(workload.rate_per_s, workload.start_s, stop_s)
    else:
        rng = derive(seed, "arrivals", workload.name)
        due_s = poisson(workload.rate_per_s, workload.start_s, stop_s, rng)
    return WorkloadPlan(
        name=workload.name,
        kind=workload.kind,
        due_s=due_s,
        timeout_s=cell.scenario.client.timeout_s,
        repeatable=workload.repeatable,
        input=workload.input,
        chunk_ms=workload.chunk_ms,
        chunks=workload.chunks if workload.kind == "stream" else 1,
    )
