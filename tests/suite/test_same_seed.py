"""One seed, one plan: everything that chance decides is written down before a run, and then played so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rpe.chaos.options import RunOutcome
from rpe.chaos.plan import Plan
from rpe.chaos.rundir import RunFolder
from tests.support.cells import SEED, cells, run
from tests.support.chaos import cell_of

DRAWN = """
name: drawn
proves: That what chance decides is decided by the seed.
servers: {a: {}, b: {}}
client: {timeout_s: 0.5}
workload: {name: calls, kind: unary, rate_per_s: 60, arrivals: poisson, input: text}
duration_s: 1.2
floor: {operations: 20}
faults:
  - name: flaps
    at_s: 0.1
    for_s: 0.7
    flapping:
      on: [b]
      fault: {latency: {latency_s: 0.01}}
      schedule: {seeded: {mean_on_s: 0.05, mean_off_s: 0.05}}
"""
"""A scenario in which both the load and the fault are drawn."""


def plan_bytes(outcome: RunOutcome) -> bytes:
    assert outcome.folder is not None
    return RunFolder(outcome.folder).plan_path.read_bytes()


def seedless(plan: str | bytes) -> dict[str, Any]:
    return {key: value for key, value in json.loads(plan).items() if key != "seed"}


async def test_the_same_seed_gives_the_same_plan_byte_for_byte_and_another_does_not(
    tmp_path: Path,
) -> None:
    rows = [("bare", cell_of(DRAWN))]
    first, again, other = [
        outcome for seed in (SEED, SEED, SEED + 1) for outcome in await run(rows, tmp_path, seed=seed)
    ]
    assert plan_bytes(first) == plan_bytes(again)
    assert first.folder != again.folder
    mine, others = seedless(plan_bytes(first)), seedless(plan_bytes(other))
    differing = {key for key in mine if mine[key] != others[key]}
    assert differing == {"workloads", "faults"}, "both of what is drawn"


async def test_what_is_planned_is_what_is_played(tmp_path: Path) -> None:
    (outcome,) = await run([("bare", cell_of(DRAWN))], tmp_path)
    assert outcome.folder is not None
    folder = RunFolder(outcome.folder)
    plan, history = folder.load_plan(), folder.load_history()
    (workload,) = plan.workloads
    due_s = sorted(operation.due_s for operation in history.operations.values())
    assert due_s == pytest.approx(workload.due_s, abs=1e-6)
    assert all(operation.started_s >= operation.due_s - 1e-3 for operation in history.operations.values())
    (fault,) = plan.faults
    flaps = history.faults["flaps"].evidence
    assert sum(told["times"] for told in flaps.values()) == sum(step["on"] for step in fault.steps)


@pytest.mark.parametrize("name", sorted(cells()))
def test_every_scenario_is_drawn_alike_from_the_same_seed(name: str) -> None:
    one = cells()[name]
    assert Plan.draw(one, SEED).to_json() == Plan.draw(one, SEED).to_json()


def test_only_what_is_drawn_differs_with_the_seed() -> None:
    differing = {
        name
        for name, one in cells().items()
        if seedless(Plan.draw(one, SEED).to_json()) != seedless(Plan.draw(one, SEED + 1).to_json())
    }
    assert differing == {"flapping-at-random"}
