from __future__ import annotations

from typing import Any

import pytest

from rpe.errors import ManifestInvalid
from rpe.manifest.model import Manifest
from rpe.node import NodeRegistry, PipelineRunner
from rpe.node.plan import make_plan

REGISTRY = NodeRegistry(entry_point_group=None)


def manifest(nodes: dict[str, Any], *edges: str) -> Manifest:
    """Nodes as {id: type} or {id: (type, params)} or {id: (type, params, further fields)}; edges as "a b"."""
    listed = []
    for node_id, told in nodes.items():
        kind, params, *more = told if isinstance(told, tuple) else (told, {})
        listed.append({"id": node_id, "node_type": kind, "params": params, **(more[0] if more else {})})
    links = [dict(zip(("from", "to"), edge.split(), strict=True)) for edge in edges]
    return Manifest.from_dict({"version": "v1", "nodes": listed, "connections": links})


def problems_of(nodes: dict[str, Any], *edges: str) -> tuple[str, ...]:
    with pytest.raises(ManifestInvalid) as caught:
        PipelineRunner(manifest(nodes, *edges), REGISTRY)
    return caught.value.problems


def test_every_problem_is_told_at_once() -> None:
    problems = problems_of(
        {
            "a": "Teleport",
            "b": ("Gain", {"gain": "loud", "level": 3}),
            "c": ("Replace", {}),
            "d": "PassThrough",
            "e": "PassThrough",
            "x": "ErrorPort",
            "b.error": "ErrorPort",
        },
        "b c",
        "d e",
        "e d",
        "e b.error",
    )
    assert [p for p in problems if p.startswith("nodes[0].node_type: no node type is named 'Teleport'")]
    assert "nodes[1].params.level is unknown (known: gain)" in problems
    assert "nodes[1].params.gain must be a number, not str" in problems
    assert "nodes[2].params.find is missing" in problems
    assert "connections[0]: 'b' gives audio, 'c' takes text" in problems
    assert [p for p in problems if p.startswith("nodes[5].id of an ErrorPort")]
    assert "connections[3].to is an error port, which only its node feeds: 'b.error'" in problems
    assert [p for p in problems if "circle" in p and ("d -> e -> d" in p or "e -> d -> e" in p)]
    assert len(problems) == 8


def test_each_circle_is_told() -> None:
    circles = problems_of(
        dict.fromkeys("abcdef", "Echo"), "a b", "b a", "c d", "d e", "e c", "f f", "a c", "a f"
    )
    assert len(circles) == 3
    assert any("f -> f" in circle for circle in circles)


@pytest.mark.parametrize(
    ("node_type", "params", "problem"),
    [
        ("Resample", {"sample_rate": 8000.5}, "sample_rate must be an integer, not float"),
        ("Resample", {"sample_rate": True}, "sample_rate must be an integer, not bool"),
        ("Resample", {"sample_rate": 0}, "sample_rate must be at least 1, not 0"),
        ("VadGate", {"threshold_dbfs": 3}, "threshold_dbfs must be at most 0, not 3"),
        ("VadGate", {"frame_ms": None}, "frame_ms must be a number, not null"),
        ("Replace", {"find": ""}, "find must be at least 1 characters, not 0"),
        ("Strip", {"chars": 5}, "chars must be a text, not int"),
    ],
)
def test_params_are_told_by_their_path(node_type: str, params: dict[str, Any], problem: str) -> None:
    assert problems_of({"n": (node_type, params)}) == (f"nodes[0].params.{problem}",)


def test_a_wrong_value_is_not_repeated_in_the_problem() -> None:
    assert "hunter2" not in "".join(problems_of({"n": ("Gain", {"gain": "hunter2"})}))


def test_kinds_flow_through_nodes_that_change_nothing() -> None:
    assert problems_of(
        {"a": "UpperCase", "p": "PassThrough", "q": "Echo", "b": "Gain"}, "a p", "p q", "q b"
    ) == ("connections[2]: 'q' gives text, 'b' takes audio",)


def test_a_kind_that_may_fit_is_left_to_the_data() -> None:
    nodes = {"t": "UpperCase", "s": "Gain", "p": "PassThrough", "u": "LowerCase"}
    assert make_plan(manifest(nodes, "t p", "s p", "p u"), REGISTRY).outputs == ("u",)


def test_the_manifest_narrows_what_a_node_takes_and_gives() -> None:
    nodes: dict[str, Any] = {
        "a": ("Echo", {}, {"output_types": ["video"]}),
        "b": ("Echo", {}, {"input_types": ["text", "json"]}),
    }
    assert problems_of(nodes, "a b") == ("connections[0]: 'a' gives image or video, 'b' takes json or text",)


def test_the_entry_is_no_error_port() -> None:
    plan = make_plan(manifest({"a.error": "ErrorPort", "a": "Echo"}), REGISTRY)
    assert plan.entry == "a"
    assert plan.outputs == ("a.error", "a")


def test_an_error_port_that_leads_back_to_its_node_is_a_circle() -> None:
    problems = problems_of({"a": "Echo", "a.error": "ErrorPort"}, "a.error a")
    assert len(problems) == 1
    assert "circle" in problems[0]
