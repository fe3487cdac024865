"""Cells: every combination of the values of a matrix, each in its place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpe.chaos.filtering import compile_filter
from rpe.chaos.plan import Plan
from rpe.chaos.scenario.errors import ScenarioError
from rpe.chaos.scenario.matrix import cells, expand, without_faults
from rpe.chaos.scenario.model import Scenario
from rpe.chaos.scenario.rules import broken_rules
from tests.support.runs import SCENARIO, scenario_of


def test_without_a_matrix_there_is_one_cell_on_grpc() -> None:
    (cell,) = cells(scenario_of(), "failover")

    assert (cell.id, cell.transport, cell.theme, dict(cell.values)) == (
        "slow-primary",
        "grpc",
        "failover",
        {},
    )
    assert cell.scenario == scenario_of()


def test_a_cell_has_its_values_in_their_places() -> None:
    matrix = {"transport": ["grpc", "http"], "client.retry.max_retries": [0, 3]}

    found = cells(scenario_of(matrix=matrix))

    assert [cell.id for cell in found] == [
        "slow-primary[transport=grpc,client.retry.max_retries=0]",
        "slow-primary[transport=grpc,client.retry.max_retries=3]",
        "slow-primary[transport=http,client.retry.max_retries=0]",
        "slow-primary[transport=http,client.retry.max_retries=3]",
    ]
    assert [cell.transport for cell in found] == ["grpc", "grpc", "http", "http"]
    retries = [cell.scenario.client.retry and cell.scenario.client.retry.max_retries for cell in found]
    assert retries == [0, 3, 0, 3]
    assert all(not cell.scenario.matrix for cell in found)


@pytest.mark.parametrize(
    ("path", "value", "read"),
    [
        ("client.timeout_s", 0.5, lambda s: s.client.timeout_s),
        ("client.attempt_timeout_s", 0.5, lambda s: s.client.attempt_timeout_s),
        ("client.health.interval_s", 0.5, lambda s: s.client.health.interval_s),
        ("servers.b.latency.fixed_s", 0.5, lambda s: s.servers["b"].latency.fixed_s),
        ("faults.slow.for_s", 0.5, lambda s: s.faults[0].for_s),
        ("faults.0.for_s", 0.5, lambda s: s.faults[0].for_s),
        ("faults.slow.latency.jitter_s", 0.01, lambda s: s.faults[0].settings.jitter_s),
        ("workload.rate_per_s", 3.0, lambda s: s.workload[0].rate_per_s),
        ("workload.calls.rate_per_s", 3.0, lambda s: s.workload[0].rate_per_s),
        ("windows.recovered.after.delay_s", 0.2, lambda s: s.windows[0].after.delay_s),
        ("manifest", "echo", lambda s: s.manifest),
        ("duration_s", 5.0, lambda s: s.duration_s),
    ],
)
def test_a_path_leads_to_any_place_of_the_file(path: str, value: Any, read: Any) -> None:
    (cell,) = cells(scenario_of(matrix={path: [value]}))

    assert read(cell.scenario) == value


def test_a_whole_part_can_be_a_value() -> None:
    fault = {"name": "gone", "at_s": 1.0, "for_s": 1.0, "kill": {"on": ["a"]}}
    (cell,) = cells(scenario_of(matrix={"faults.slow": [fault]}))

    assert cell.scenario.faults[0].kind == "kill"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("client.retri", {}, "there is no such path: client.retri; did you mean retry?"),
        ("servers.d", {}, "there is no such path: servers.d; known: a, b, c"),
        ("faults.fast.for_s", 1.0, "there is no such path: faults has no 'fast'"),
        ("faults.7.for_s", 1.0, "there is no such path: faults has no '7'; known: 0, slow"),
        ("duration_s.x", 1.0, "there is no such path: nothing can lie below duration_s, 4.0"),
        ("name", "other", "there is no such path: name"),
        ("matrix.transport", ["x"], "there is no such path: matrix"),
        ("transport", 3, "a transport is named by text, not 3"),
        ("faults.slow.for_s", "1 s", "with 1 s: faults[0].for_s: must be a number of seconds"),
    ],
)
def test_a_path_or_a_value_that_does_not_fit(path: str, value: Any, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        cells(scenario_of(matrix={path: [value]}))

    assert caught.value.problems[0].field == f"matrix.{path}"
    assert caught.value.problems[0].message.startswith(message)


def test_values_that_fit_alone_and_not_together_are_told() -> None:
    matrix = {"workload.stop_s": [1.0, 3.0], "workload.start_s": [0.0, 2.0]}

    found, problems = expand(scenario_of(matrix=matrix))

    assert found == []
    assert problems[0][0] == ("matrix",)
    assert problems[0][1].startswith("with workload.stop_s=1.0, workload.start_s=2.0: workload[0]")


keys = st.sampled_from(
    ["transport", "client.timeout_s", "client.budget.ratio", "duration_s", "faults.slow.for_s"]
)
values = {
    "transport": st.sampled_from(["grpc", "http", "webrtc"]),
    "client.timeout_s": st.floats(0.1, 5.0),
    "client.budget.ratio": st.floats(0.0, 1.0),
    "duration_s": st.floats(4.0, 9.0),
    "faults.slow.for_s": st.floats(0.1, 1.5),
}


@settings(deadline=None, max_examples=40)
@given(st.data(), st.sets(keys, min_size=1))
def test_there_are_as_many_cells_as_combinations_and_each_is_another(
    data: st.DataObject, chosen: set[str]
) -> None:
    matrix = {
        key: data.draw(st.lists(values[key], min_size=1, max_size=3, unique=True)) for key in sorted(chosen)
    }

    found = cells(scenario_of(matrix=matrix))

    expected = 1
    for choices in matrix.values():
        expected *= len(choices)
    assert len({cell.id for cell in found}) == len(found) == expected
    for cell in found:
        assert dict(cell.values).keys() == matrix.keys()
        assert all(cell.values[key] in matrix[key] for key in matrix)


def test_a_filter_sees_name_theme_and_values() -> None:
    (cell,) = cells(scenario_of(matrix={"transport": ["grpc"], "client.retry.max_retries": [3]}), "failover")

    assert cell.words == ("slow-primary", "failover", "transport=grpc", "client.retry.max_retries=3")
    assert compile_filter("slow and max_retries=3 and not http")(cell.words)


def test_without_its_faults_a_scenario_keeps_all_else() -> None:
    fault: dict[str, Any] = {"name": "split", "after": {"window": "slow"}, "for_s": 0.5}
    fault["partition"] = {"groups": [["client", "a"], ["b", "c"]]}
    scenario = scenario_of(faults=[*SCENARIO["faults"], fault], matrix={"transport": ["grpc"]})

    empty = without_faults(scenario)

    assert [(fault.name, fault.kind, fault.settings.targets) for fault in empty.faults] == [
        ("slow", "nothing", ("a",)),
        ("split", "nothing", ("b", "c")),
    ]
    assert empty.model_dump(exclude={"faults"}) == scenario.model_dump(exclude={"faults"})
    assert broken_rules(empty) == []
    plan, plan_without = Plan.draw(cells(scenario)[0], 7), Plan.draw(cells(empty)[0], 7)
    assert plan_without.windows == plan.windows
    assert plan_without.workloads == plan.workloads
    assert [fault.steps for fault in plan_without.faults] == [(), ()]


def test_a_scenario_survives_being_written_and_read() -> None:
    scenario = scenario_of()

    assert Scenario.model_validate(scenario.model_dump(mode="json", exclude_unset=True)) == scenario
