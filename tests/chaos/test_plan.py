"""Plans: every draw made from one seed, every time absolute."""

from __future__ import annotations

from typing import Any

import pytest

from rpe.chaos.plan import Plan, fault_steps
from rpe.chaos.scenario.errors import ScenarioError
from rpe.chaos.scenario.matrix import cells
from rpe.chaos.scenario.timing import Span
from tests.support.runs import SCENARIO, plan_of, scenario_of

FLAPPING: dict[str, Any] = {
    "name": "flap",
    "at_s": 0.5,
    "for_s": 2.0,
    "flapping": {"on": ["b"], "schedule": {"seeded": {"mean_on_s": 0.2, "mean_off_s": 0.2}}},
}


def drawn(seed: int, **changes: Any) -> Plan:
    return Plan.draw(cells(scenario_of(**changes))[0], seed, versions={"rpe": "0"})


def test_every_window_has_its_times() -> None:
    faults = [
        *SCENARIO["faults"],
        {
            "name": "later",
            "after": {"window": "slow", "edge": "end", "delay_s": 0.25},
            "for_s": 0.5,
            "down": {"on": ["b"]},
        },
        {
            "name": "within",
            "after": {"window": "slow", "edge": "start", "delay_s": 0.1},
            "for_s": 0.2,
            "down": {"on": ["c"]},
        },
    ]
    windows = [
        {"name": "rest", "after": {"window": "later"}},
        {"name": "early", "after": {"window": "run", "edge": "start"}, "for_s": 1.0},
    ]

    plan = drawn(7, faults=faults, windows=windows)

    assert {name: (span.start_s, span.end_s) for name, span in plan.windows.items()} == {
        "run": (0.0, 4.0),
        "before": (0.0, 1.0),
        "slow": (1.0, 2.0),
        "later": (2.25, 2.75),
        "within": (1.1, pytest.approx(1.3)),
        "after": (2.75, 4.0),
        "rest": (2.75, 4.0),
        "early": (0.0, 1.0),
    }
    assert [(fault.name, fault.kind, fault.on) for fault in plan.faults] == [
        ("slow", "latency", ("a",)),
        ("later", "down", ("b",)),
        ("within", "down", ("c",)),
    ]
    assert plan.faults[0].steps[0]["action"] == "SetToxic"


def test_the_same_seed_draws_the_same_plan_and_another_seed_another() -> None:
    changes = {
        "faults": [FLAPPING],
        "windows": [],
        "workload": {**SCENARIO["workload"], "arrivals": "poisson"},
    }

    assert drawn(7, **changes).to_json() == drawn(7, **changes).to_json()
    assert drawn(7, **changes).workloads != drawn(8, **changes).workloads
    assert drawn(7, **changes).faults != drawn(8, **changes).faults


def test_a_further_fault_or_load_leaves_the_draws_of_the_others_as_they_were() -> None:
    poisson = {**SCENARIO["workload"], "arrivals": "poisson"}
    alone = drawn(7, faults=[FLAPPING], windows=[], workload=poisson)

    more = drawn(
        7,
        faults=[{**FLAPPING, "name": "another"}, FLAPPING],
        windows=[],
        workload=[{**poisson, "name": "others"}, poisson],
    )

    assert more.faults[1] == alone.faults[0]
    assert more.workloads[1] == alone.workloads[0]
    assert more.workloads[0].due_s != more.workloads[1].due_s
    assert more.faults[0].steps != more.faults[1].steps


def test_the_steps_of_the_plan_are_those_of_the_fault() -> None:
    scenario = scenario_of(faults=[FLAPPING], windows=[])

    steps = fault_steps(scenario.faults[0], Span(start_s=0.5, end_s=2.5), 7)

    planned = drawn(7, faults=[FLAPPING], windows=[]).faults[0].steps
    assert [(step.offset_s, step.on) for step in steps] == [
        (step["offset_s"], step["on"]) for step in planned
    ]
    assert len(steps) > 2


def test_loads_are_planned_in_their_own_time() -> None:
    loads = [
        {
            "name": "calls",
            "kind": "unary",
            "rate_per_s": 10.0,
            "start_s": 1.0,
            "stop_s": 2.0,
            "repeatable": False,
        },
        {"name": "at-once", "kind": "stream", "sessions": 3, "start_s": 0.5, "chunks": 7, "chunk_ms": 30},
        {"name": "paced", "kind": "stream", "rate_per_s": 2.0},
    ]

    calls, at_once, paced = drawn(7, workload=loads).workloads

    assert calls.due_s == pytest.approx([1.0 + number / 10 for number in range(10)])
    assert (calls.repeatable, calls.chunks, calls.timeout_s) == (False, 1, 1.0)
    assert (at_once.due_s, at_once.chunks, at_once.chunk_ms) == ((0.5, 0.5, 0.5), 7, 30)
    assert paced.due_s == pytest.approx([number / 2 for number in range(8)])


def test_the_floor_is_most_of_what_the_rates_promise() -> None:
    assert plan_of().floor.operations == 32
    assert plan_of(floor={"operations": 3}).floor.operations == 3


def test_a_plan_survives_the_way_through_json() -> None:
    plan = drawn(
        7,
        faults=[FLAPPING],
        windows=[],
        expect=[{"measure": "missed", "equals": 0}],
        manifest={"version": "v1"},
    )

    assert Plan.from_json(plan.to_json()) == plan
    assert plan.versions == {"rpe": "0"}


def test_the_cell_can_be_drawn_again_from_the_plan() -> None:
    plan = drawn(7, matrix={"client.retry.max_retries": [5]})

    again = scenario_of().model_validate(plan.definition)

    assert again.client.retry is not None
    assert again.client.retry.max_retries == 5


@pytest.mark.parametrize("text", ["", "{}", '{"format": 2}'])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Plan.from_json(text)


def test_windows_in_a_circle_cannot_be_planned() -> None:
    windows = [{"name": "one", "after": {"window": "two"}}, {"name": "two", "after": {"window": "one"}}]

    with pytest.raises(ScenarioError, match="one follows two follows one"):
        drawn(7, windows=windows)
