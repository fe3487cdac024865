"""Kinds whose steps are spread over time, or over groups: flapping, restart, partition."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from rpe.faults.actions import CutLink, SetToxic, Signal
from rpe.faults.kinds import KINDS, FaultContext


def times(name: str, duration_s: float, *, seed: int = 0, **settings: Any) -> list[tuple[float, str, bool]]:
    fault = KINDS[name].model_validate(settings)
    steps = fault.actions(FaultContext(duration_s=duration_s, random=Random(seed)))
    return [(round(step.offset_s, 6), step.action.server, step.on) for step in steps]


def test_periodic_flapping_begins_with_on_and_leaves_the_last_heal_to_the_end() -> None:
    schedule = {"on_s": 0.2, "off_s": 0.3}
    assert times("flapping", 1.1, on=["a"], schedule=schedule) == [
        (0.0, "a", True),
        (0.2, "a", False),
        (0.5, "a", True),
        (0.7, "a", False),
        (1.0, "a", True),
    ]


def test_flapping_switches_all_servers_together_and_undoes_in_reverse() -> None:
    schedule = {"on_s": 0.2, "off_s": 0.3}
    assert times("flapping", 0.5, on=["a", "b"], schedule=schedule) == [
        (0.0, "a", True),
        (0.0, "b", True),
        (0.2, "b", False),
        (0.2, "a", False),
    ]


def test_seeded_flapping_follows_its_seed_and_its_means() -> None:
    schedule = {"seeded": {"mean_on_s": 0.1, "mean_off_s": 0.3}}
    first = times("flapping", 400.0, seed=1, on=["a"], schedule=schedule)
    assert first == times("flapping", 400.0, seed=1, on=["a"], schedule=schedule)
    assert first != times("flapping", 400.0, seed=2, on=["a"], schedule=schedule)
    ons = [at for at, _, on in first if on]
    offs = [at for at, _, on in first if not on]
    lengths = [off - on for on, off in zip(ons, offs, strict=False)]
    assert 0.08 < sum(lengths) / len(lengths) < 0.13
    assert 800 < len(ons) < 1200
    assert min(lengths) > 0.009


def test_any_constant_fault_can_flap_with_its_own_settings() -> None:
    fault = KINDS["flapping"].model_validate(
        {
            "on": ["a"],
            "schedule": {"on_s": 1, "off_s": 1},
            "fault": {"latency": {"latency_s": 0.1, "direction": "up"}},
        }
    )
    (step,) = fault.actions(FaultContext(duration_s=0.5, random=Random(0)))
    assert step.action == SetToxic("a", "latency", "upstream", {"latency": 100, "jitter": 0})
    default = KINDS["flapping"].model_validate({"on": ["a"], "schedule": {"on_s": 1, "off_s": 1}})
    assert default.actions(FaultContext(duration_s=0.5, random=Random(0)))[0].action == CutLink("a")


@pytest.mark.parametrize(
    "fault",
    ["nonsense", "flapping", "restart", "partition", {"latency": {}}, {"down": {}, "kill": {}}, {}, 7],
)
def test_what_cannot_flap_is_refused(fault: Any) -> None:
    with pytest.raises(ValidationError):
        KINDS["flapping"].model_validate({"on": ["a"], "schedule": {"on_s": 1, "off_s": 1}, "fault": fault})


@pytest.mark.parametrize(
    "schedule", [{}, {"on_s": 0, "off_s": 1}, {"on_s": 1}, {"seeded": {"mean_on_s": 1}}, {"every_s": 1}]
)
def test_a_schedule_that_makes_no_sense_is_refused(schedule: Any) -> None:
    with pytest.raises(ValidationError):
        KINDS["flapping"].model_validate({"on": ["a"], "schedule": schedule})


def test_restarts_happen_together_or_roll() -> None:
    assert times("restart", 2.0, on=["a", "b"], down_s=0.5) == [
        (0.0, "a", True),
        (0.0, "b", True),
        (0.5, "a", False),
        (0.5, "b", False),
    ]
    assert times("restart", 2.0, on=["a", "b", "c"], down_s=0.5, one_by_one_gap_s=0.25) == [
        (0.0, "a", True),
        (0.5, "a", False),
        (0.75, "b", True),
        (1.25, "b", False),
        (1.5, "c", True),
    ]
    assert len(times("restart", 0.7, on=["a", "b", "c"], down_s=0.5, one_by_one_gap_s=0.25)) == 2


@pytest.mark.parametrize(("graceful", "what"), [(True, "stop"), (False, "kill")])
def test_a_restart_is_graceful_or_not(graceful: bool, what: Any) -> None:
    fault = KINDS["restart"].model_validate({"on": ["a"], "graceful": graceful})
    steps = fault.actions(FaultContext(duration_s=1.0, random=Random(0)))
    assert {step.action for step in steps} == {Signal("a", what)}


def test_a_partition_cuts_off_all_that_is_not_with_the_client() -> None:
    fault = KINDS["partition"].model_validate({"groups": [["b"], ["client", "a"], ["c"]]})
    assert fault.targets == ("b", "c")
    steps = fault.actions(FaultContext(duration_s=1.0, random=Random(0)))
    assert {
        (step.action.server, step.action.stream) for step in steps if isinstance(step.action, SetToxic)
    } == {(server, stream) for server in ("b", "c") for stream in ("upstream", "downstream")}


@pytest.mark.parametrize(
    "groups", [[["a"], ["b"]], [["client", "a"]], [["client", "a"], ["a"]], [["client"], []]]
)
def test_groups_that_make_no_partition_are_refused(groups: Any) -> None:
    with pytest.raises(ValidationError):
        KINDS["partition"].model_validate({"groups": groups})
