"""The schema that editors get accepts what the loader accepts, and explains every key."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from rpe.chaos.check import ALWAYS
from rpe.chaos.check.measures import MEASURES
from rpe.chaos.scenario.schema import json_schema
from rpe.faults.kinds import KINDS
from tests.support.runs import SCENARIO


def valid(scenario: dict[str, Any]) -> bool:
    validator = jsonschema.Draft202012Validator(json_schema())
    return bool(validator.is_valid(scenario))


def changed(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(SCENARIO), **changes}


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_it_accepts_a_scenario() -> None:
    assert valid(changed())
    assert valid(changed(workload=[SCENARIO["workload"]]))
    assert valid(changed(expect=[{"measure": "share", "endpoint": "a", "at_most": 0.5}]))


@pytest.mark.parametrize(
    "changes",
    [
        {"servers": {}},
        {"unknown": 1},
        {"duration_s": "4s"},
        {"duration_s": 0},
        {"name": "Slow Primary"},
        {"workload": {"kind": "unary", "rate": 3}},
        {"expect": [{"measure": "nothing_known", "at_least": 1}]},
        {"expect": [{"measure": "operations"}]},
        {"allow": [{"check": "fault_fired", "because": "it never applies here"}]},
        {"faults": []},
        {"faults": [{"name": "slow", "at_s": 1, "for_s": 1, "latency": {"on": ["a"]}}]},
    ],
)
def test_it_refuses_what_is_none(changes: dict[str, Any]) -> None:
    assert not valid(changed(**changes))


def test_every_measure_check_and_fault_kind_is_known_and_explained() -> None:
    definitions = json_schema()["$defs"]

    measures = definitions["Expectation"]["properties"]["measure"]["oneOf"]
    checks = definitions["Allowance"]["properties"]["check"]["oneOf"]
    assert {choice["const"] for choice in measures} == set(MEASURES)
    assert {choice["const"] for choice in checks} == {
        name for name, check in ALWAYS.items() if check.waivable
    }
    assert all(choice["description"] for choice in [*measures, *checks])
    assert set(KINDS) <= set(definitions["Fault"]["properties"])


def keys_of(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    own = {
        "Scenario",
        "Workload",
        "Window",
        "Expectation",
        "Floor",
        "Allowance",
        "After",
        "Fault",
        "ClientRequest",
    }
    own |= {"RetryRequest", "BreakerRequest", "HealthRequest", "BudgetRequest"}
    for name, part in [("Scenario", schema), *schema["$defs"].items()]:
        if name in own:
            for key, about in part["properties"].items():
                yield f"{name}.{key}", about


def test_every_key_of_the_file_is_explained() -> None:
    found = dict(keys_of(json_schema()))

    assert len(found) > 60
    assert [key for key, about in found.items() if not about.get("description")] == []
