"""What each constant fault kind decides, in the units of the proxy."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from rpe.faults.actions import (
    Action,
    CutLink,
    CutSignalling,
    Rebind,
    SetBehaviour,
    SetImpairment,
    SetToxic,
    Signal,
    Step,
    as_json,
    has_effect,
    needs_process,
)
from rpe.faults.impairments import as_impairment
from rpe.faults.kinds import KINDS, FaultContext


def decide(name: str, **settings: Any) -> list[Action]:
    fault = KINDS[name].model_validate(settings)
    return [step.action for step in fault.actions(FaultContext(duration_s=1.0, random=Random(0)))]


def both(kind: Any, **attributes: int) -> list[SetToxic]:
    return [SetToxic("a", kind, "upstream", attributes), SetToxic("a", kind, "downstream", attributes)]


def impaired(kind: Any, **attributes: float) -> list[SetImpairment]:
    return [
        SetImpairment("a", kind, "upstream", attributes),
        SetImpairment("a", kind, "downstream", attributes),
    ]


@pytest.mark.parametrize(
    ("name", "settings", "actions"),
    [
        ("packet_loss", {"rate": 0.2}, impaired("loss", rate=0.2)),
        (
            "packet_loss",
            {"burst": {"enter": 0.02, "leave": 0.25}, "direction": "down"},
            [
                SetImpairment(
                    "a",
                    "burst_loss",
                    "downstream",
                    {"enter": 0.02, "leave": 0.25, "loss": 1.0, "good_loss": 0.0},
                )
            ],
        ),
        ("reorder", {"rate": 0.1, "by_s": 0.02}, impaired("reorder", rate=0.1, by_s=0.02)),
        ("duplicate", {"rate": 1.0}, impaired("duplicate", rate=1.0)),
        (
            "packet_corruption",
            {"rate": 0.5, "direction": "up"},
            [SetImpairment("a", "corruption", "upstream", {"rate": 0.5})],
        ),
        ("rebind", {}, [Rebind("a")]),
        ("signalling_down", {}, [CutSignalling("a")]),
        ("down", {}, [CutLink("a")]),
        ("latency", {"latency_s": 0.3, "jitter_s": 0.05}, both("latency", latency=300, jitter=50)),
        (
            "latency",
            {"latency_s": 1, "direction": "down"},
            [SetToxic("a", "latency", "downstream", {"latency": 1000, "jitter": 0})],
        ),
        ("bandwidth", {"rate_bytes_per_s": 32_000}, both("bandwidth", rate=32)),
        ("blackhole", {}, both("timeout", timeout=0)),
        ("reset", {"after_s": 0.02}, [SetToxic("a", "reset_peer", "downstream", {"timeout": 20})]),
        ("reset", {"direction": "up"}, [SetToxic("a", "reset_peer", "upstream", {"timeout": 0})]),
        ("slow_close", {"delay_s": 0.25}, both("slow_close", delay=250)),
        (
            "slicer",
            {"average_bytes": 64, "variation_bytes": 32, "delay_s": 0.0015},
            both("slicer", average_size=64, size_variation=32, delay=1500),
        ),
        ("limit_data", {"max_bytes": 9}, [SetToxic("a", "limit_data", "downstream", {"bytes": 9})]),
        ("partition_oneway", {"direction": "up"}, [SetToxic("a", "timeout", "upstream", {"timeout": 0})]),
        ("partition_oneway", {"direction": "down"}, [SetToxic("a", "timeout", "downstream", {"timeout": 0})]),
        ("kill", {}, [Signal("a", "kill")]),
        ("pause", {}, [Signal("a", "pause")]),
        ("behaviour", {"behaviour": {"x": 1}}, [SetBehaviour("a", {"x": 1})]),
        ("nothing", {}, []),
    ],
)
def test_what_is_decided(name: str, settings: dict[str, Any], actions: list[Action]) -> None:
    decided = decide(name, on=["a"], **settings)
    assert decided == actions
    assert all(action.toxicity == 1 for action in decided if isinstance(action, SetToxic))
    assert [action.server for action in decide(name, on=["a", "b", "a"], **settings)] == [
        *(["a"] * len(actions)),
        *(["b"] * len(actions)),
    ]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("latency", {}),
        ("latency", {"latency_s": 0.0001}),
        ("latency", {"latency_s": -1}),
        ("latency", {"latency_s": float("inf")}),
        ("latency", {"latency_s": "1"}),
        ("latency", {"latency_s": 1, "direction": "sideways"}),
        ("bandwidth", {"rate_bytes_per_s": 0}),
        ("bandwidth", {"rate_bytes_per_s": 1500}),
        ("bandwidth", {"rate_bytes_per_s": 1000.5}),
        ("slicer", {"average_bytes": 0}),
        ("slicer", {"average_bytes": 10, "variation_bytes": 10}),
        ("limit_data", {"max_bytes": 0}),
        ("partition_oneway", {"direction": "both"}),
        ("reset", {"after_s": -0.1}),
        ("reset", {"direction": "both"}),
        ("slow_close", {"delay_s": 0}),
        ("behaviour", {"behaviour": {}}),
        ("restart", {"down_s": -1}),
    ],
)
def test_nonsense_is_refused(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KINDS[name].model_validate({"on": ["a"], **settings})


def test_only_signals_need_a_process() -> None:
    needing = set()
    examples: dict[str, dict[str, Any]] = {
        "down": {},
        "latency": {"latency_s": 1},
        "kill": {},
        "pause": {},
        "restart": {},
        "behaviour": {"behaviour": {"x": 1}},
        "flapping": {"fault": "pause", "schedule": {"on_s": 0.1, "off_s": 0.1}},
    }
    for name, settings in examples.items():
        fault = KINDS[name].model_validate({"on": ["a"], **settings})
        if needs_process(fault.actions(FaultContext(duration_s=1.0, random=Random(0)))):
            needing.add(name)
    assert needing == {"kill", "pause", "restart", "flapping"}


def test_steps_as_json_show_every_setting() -> None:
    fault = KINDS["latency"].model_validate({"on": ["a"], "latency_s": 0.5, "direction": "up"})
    (step,) = fault.actions(FaultContext(duration_s=1.0, random=Random(0)))
    assert as_json(step) == {
        "offset_s": 0.0,
        "key": "0",
        "on": True,
        "action": "SetToxic",
        "server": "a",
        "kind": "latency",
        "stream": "upstream",
        "attributes": {"latency": 500, "jitter": 0},
        "toxicity": 1.0,
    }


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("packet_loss", {}),
        ("packet_loss", {"rate": 0.1, "burst": {"enter": 0.1, "leave": 0.1}}),
        ("packet_loss", {"rate": 0.0}),
        ("packet_loss", {"rate": 1.1}),
        ("packet_loss", {"burst": {"enter": 0.1}}),
        ("packet_loss", {"burst": {"enter": 0.1, "leave": 0.0}}),
        ("reorder", {"rate": 0.1}),
        ("reorder", {"rate": 0.1, "by_s": 0.0}),
        ("duplicate", {}),
        ("packet_corruption", {"rate": float("nan")}),
        ("rebind", {"every_s": 0.0}),
        ("signalling_down", {"rate": 0.1}),
    ],
)
def test_settings_for_packets_that_make_no_sense_are_refused(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KINDS[name].model_validate({"on": ["a"], **settings})


def test_addresses_change_again_and_again_while_the_fault_lasts() -> None:
    fault = KINDS["rebind"].model_validate({"on": ["a", "b"], "every_s": 0.4})
    steps = fault.actions(FaultContext(duration_s=1.0, random=Random(0)))
    assert [(round(step.offset_s, 3), step.action.server) for step in steps] == [
        (0.0, "a"),
        (0.0, "b"),
        (0.4, "a"),
        (0.4, "b"),
        (0.8, "a"),
        (0.8, "b"),
    ]
    assert len({step.key for step in steps}) == 6
    assert all(step.on for step in steps)


ONLY_DATAGRAMS = {
    "duplicate",
    "packet_corruption",
    "packet_loss",
    "rebind",
    "reorder",
    "signalling_down",
}
ONLY_BYTES = {"limit_data", "reset", "slicer", "slow_close"}


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_acts_where_what_it_acts_on_exists(name: str) -> None:
    from tests.faults.kinds.test_registry import EXAMPLES

    fault = KINDS[name].model_validate(EXAMPLES[name])
    actions = [step.action for step in fault.actions(FaultContext(duration_s=1.0, random=Random(0)))]
    assert all(has_effect(action, datagrams=False) for action in actions) is (name not in ONLY_DATAGRAMS)
    assert all(has_effect(action, datagrams=True) for action in actions) is (name not in ONLY_BYTES)


@pytest.mark.parametrize(
    ("toxic", "impairment"),
    [
        (
            SetToxic("a", "latency", "upstream", {"latency": 300, "jitter": 50}),
            SetImpairment("a", "delay", "upstream", {"delay_s": 0.3, "jitter_s": 0.05}),
        ),
        (
            SetToxic("a", "bandwidth", "downstream", {"rate": 100}),
            SetImpairment(
                "a", "bandwidth", "downstream", {"rate_bytes_per_s": 100_000, "queue_bytes": 50_000}
            ),
        ),
        (
            SetToxic("a", "bandwidth", "downstream", {"rate": 1}),
            SetImpairment("a", "bandwidth", "downstream", {"rate_bytes_per_s": 1000, "queue_bytes": 16_000}),
        ),
        (
            SetToxic("a", "timeout", "upstream", {"timeout": 0}),
            SetImpairment("a", "partition", "upstream"),
        ),
        (SetToxic("a", "timeout", "upstream", {"timeout": 100}), None),
        (SetToxic("a", "slicer", "upstream", {"average_size": 64}), None),
    ],
)
def test_what_a_toxic_does_to_datagrams(toxic: SetToxic, impairment: SetImpairment | None) -> None:
    assert as_impairment(toxic) == impairment
    assert has_effect(toxic, datagrams=True) is (impairment is not None)


def test_every_action_can_be_shown_in_a_plan() -> None:
    step = Step(0.5, "1", SetImpairment("a", "loss", "upstream", {"rate": 0.2}))
    assert as_json(step) == {
        "offset_s": 0.5,
        "key": "1",
        "on": True,
        "action": "SetImpairment",
        "server": "a",
        "kind": "loss",
        "stream": "upstream",
        "attributes": {"rate": 0.2},
    }
    assert as_json(Step(0.0, "0", Rebind("a")))["action"] == "Rebind"
