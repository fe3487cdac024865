"""What each constant fault kind decides, in the units of the proxy."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from rpe.faults.actions import Action, CutLink, SetBehaviour, SetToxic, Signal, as_json, needs_process
from rpe.faults.kinds import KINDS, FaultContext


def decide(name: str, **settings: Any) -> list[Action]:
    fault = KINDS[name].model_validate(settings)
    return [step.action for step in fault.actions(FaultContext(duration_s=1.0, random=Random(0)))]


def both(kind: Any, **attributes: int) -> list[SetToxic]:
    return [SetToxic("a", kind, "upstream", attributes), SetToxic("a", kind, "downstream", attributes)]


@pytest.mark.parametrize(
    ("name", "settings", "actions"),
    [
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
