from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from typing import Any

import pytest

from rpe.errors import ErrorKind, ManifestInvalid
from rpe.manifest.model import (
    Capabilities,
    Connection,
    CpuRequirement,
    GpuRequirement,
    Manifest,
    Node,
    RuntimeHint,
)

WRITTEN: dict[str, Any] = {
    "version": "v1",
    "metadata": {"name": "voice", "description": "d", "created_at": "2025-01-01"},
    "nodes": [
        {
            "id": "vad",
            "node_type": "SileroVAD",
            "params": {"threshold": 0.5, "deep": {"list": [1, {"x": None}]}},
            "is_streaming": True,
            "is_output_node": True,
            "capabilities": {
                "gpu": {"type": "cuda", "min_memory_gb": 4.0, "required": False},
                "cpu": {"cores": 2, "arch": "arm64"},
                "memory_gb": 1.5,
            },
            "host": "gpu-1",
            "runtime_hint": "cpython",
            "input_types": ["audio"],
            "output_types": ["json", "any"],
            "docker": {"image": "vad:1"},
        },
        {"id": "tts", "node_type": "TTS", "params": {}},
    ],
    "connections": [{"from": "vad", "to": "tts"}],
    "vendor": {"x": 1},
}


def problems_of(raw: Any) -> tuple[str, ...]:
    with pytest.raises(ManifestInvalid) as caught:
        Manifest.from_dict(raw)
    assert caught.value.kind is ErrorKind.CONFIGURATION
    return caught.value.problems


def test_the_json_form_comes_back_as_it_was_written() -> None:
    manifest = Manifest.from_dict(WRITTEN)
    assert manifest.to_dict() == WRITTEN
    assert Manifest.from_json(json.dumps(WRITTEN)) == manifest
    assert Manifest.from_json(manifest.to_json().encode()) == manifest
    vad = manifest.nodes[0]
    assert vad.capabilities == Capabilities(GpuRequirement("cuda", 4.0), CpuRequirement(2, "arm64"), 1.5)
    assert vad.runtime_hint is RuntimeHint.CPYTHON
    assert manifest.extra == {"vendor": {"x": 1}}


def test_metadata_and_connections_may_be_missing_and_are_always_sent() -> None:
    manifest = Manifest.from_dict({"version": "v1", "nodes": [{"id": "a", "node_type": "Echo"}]})
    assert manifest.to_dict() == {
        "version": "v1",
        "metadata": {"name": ""},
        "nodes": [{"id": "a", "node_type": "Echo", "params": {}}],
        "connections": [],
    }
    nulls = {"metadata": None, "connections": None, "nodes": [{"id": "a", "node_type": "Echo", "host": None}]}
    assert Manifest.from_dict({"version": "v1", **nulls}) == manifest


def test_enums_are_read_in_any_case() -> None:
    node = {"id": "a", "node_type": "Echo", "runtime_hint": "RustPython", "input_types": ["AUDIO"]}
    assert (
        Manifest.from_dict({"version": "v1", "nodes": [node]}).nodes[0].runtime_hint is RuntimeHint.RUSTPYTHON
    )


def test_a_manifest_does_not_change() -> None:
    raw = copy.deepcopy(WRITTEN)
    manifest = Manifest.from_dict(raw)
    raw["nodes"][0]["params"]["deep"]["list"].append(2)
    assert manifest == Manifest.from_dict(WRITTEN)
    manifest.to_dict()["nodes"][0]["params"]["deep"]["list"].append(2)
    assert manifest.to_dict() == WRITTEN
    with pytest.raises(dataclasses.FrozenInstanceError):
        manifest.name = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        manifest.nodes[0].params["threshold"] = 1  # type: ignore[index]
    with pytest.raises(AttributeError):
        manifest.nodes[0].params["deep"]["list"].append(1)


def test_manifests_compare_by_content_and_have_a_hash() -> None:
    one, other = Manifest.from_dict(WRITTEN), Manifest.from_dict(WRITTEN)
    one.to_json()  # keeps a form that the other has not
    assert one == other
    assert hash(one) == hash(other)
    assert dataclasses.replace(one, name="x") != one
    assert pickle.loads(pickle.dumps(one)) == one
    assert copy.deepcopy(one) == one


def test_a_changed_copy_has_forms_of_its_own() -> None:
    one = Manifest.single("echo", node_type="Echo")
    assert one.to_json() is one.to_json()
    other = dataclasses.replace(one, name="other")
    assert json.loads(other.to_json())["metadata"] == {"name": "other"}


def test_single_is_a_pipeline_of_one_node() -> None:
    manifest = Manifest.single("echo", node_type="Echo", delay_ms=5)
    assert manifest.name == "echo"
    assert manifest.nodes == (Node("echo", "Echo", {"delay_ms": 5}),)
    assert manifest.input_nodes == manifest.output_nodes == manifest.nodes


def test_ends_of_the_pipeline() -> None:
    nodes = tuple(Node(name, "T") for name in "abc")
    manifest = Manifest(nodes=nodes, connections=(Connection("a", "b"), Connection("b", "c")))
    assert [node.id for node in manifest.input_nodes] == ["a"]
    assert [node.id for node in manifest.output_nodes] == ["c"]
    marked = dataclasses.replace(manifest, nodes=(nodes[0], Node("b", "T", is_output_node=True), nodes[2]))
    assert [node.id for node in marked.output_nodes] == ["b"]
    assert manifest.node("b") is nodes[1]
    assert manifest.node("x") is None


def test_every_problem_is_told_at_once() -> None:
    problems = problems_of(
        {
            "version": "v2",
            "nodes": [
                {"id": "a", "node_type": "  ", "params": {"f": float("nan")}},
                {"id": "a", "node_type": "X", "params": {"s": {1, 2}}},
            ],
            "connections": [{"from": "a", "to": "ghost"}],
        }
    )
    assert problems == (
        "version must be 'v1', not 'v2'",
        "nodes[0].node_type is empty",
        "nodes[0].params.f: nan has no form in JSON",
        "nodes[1].params.s: set has no form in JSON",
        "2 nodes have the id 'a'",
        "connections[0].to is no node: 'ghost'",
    )


GOOD_NODE = {"id": "a", "node_type": "X"}


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"version": None}, "version"),
        ({"nodes": []}, "at least one node"),
        ({"nodes": {}}, "nodes must be a list"),
        ({"nodes": ["a"]}, "nodes[0] must be an object"),
        ({"metadata": []}, "metadata must be an object"),
        ({"metadata": {"name": 5}}, "metadata.name"),
        ({"connections": "a"}, "connections must be a list"),
        ({"connections": [5]}, "connections[0] must be an object"),
        ({"connections": [{"from": 5, "to": "a"}]}, "connections[0].from"),
        ({"connections": [{"to": "a"}]}, "connections[0].from"),
        ({"nodes": [{**GOOD_NODE, "id": 5}]}, "nodes[0].id"),
        ({"nodes": [{**GOOD_NODE, "id": "\ud800"}]}, "nodes[0].id"),
        ({"nodes": [{**GOOD_NODE, "id": ["a"]}]}, "nodes[0].id"),
        ({"nodes": [{"id": "a"}]}, "nodes[0].node_type is empty"),
        ({"nodes": [{**GOOD_NODE, "params": "x"}]}, "nodes[0].params must be an object"),
        ({"nodes": [{**GOOD_NODE, "params": {1: 2}}]}, "nodes[0].params"),
        ({"nodes": [{**GOOD_NODE, "host": 5}]}, "nodes[0].host"),
        ({"nodes": [{**GOOD_NODE, "is_streaming": "yes"}]}, "nodes[0].is_streaming"),
        ({"nodes": [{**GOOD_NODE, "is_output_node": 1}]}, "nodes[0].is_output_node"),
        ({"nodes": [{**GOOD_NODE, "runtime_hint": "jvm"}]}, "nodes[0].runtime_hint 'jvm'"),
        ({"nodes": [{**GOOD_NODE, "input_types": "audio"}]}, "nodes[0].input_types must be a list"),
        ({"nodes": [{**GOOD_NODE, "output_types": ["smell"]}]}, "nodes[0].output_types"),
        ({"nodes": [{**GOOD_NODE, "capabilities": 5}]}, "nodes[0].capabilities must be an object"),
        ({"nodes": [{**GOOD_NODE, "capabilities": {"gpu": 5}}]}, "nodes[0].capabilities.gpu"),
        ({"nodes": [{**GOOD_NODE, "capabilities": {"gpu": {"type": 5}}}]}, "capabilities.gpu.type"),
        ({"nodes": [{**GOOD_NODE, "capabilities": {"gpu": {"required": 5}}}]}, "capabilities.gpu.required"),
        ({"nodes": [{**GOOD_NODE, "capabilities": {"cpu": {"cores": -1}}}]}, "capabilities.cpu.cores"),
        ({"nodes": [{**GOOD_NODE, "capabilities": {"memory_gb": "1"}}]}, "capabilities.memory_gb"),
        ({"nodes": [{**GOOD_NODE, "extra_field": {1, 2}}]}, "nodes[0].extra"),
        ({"vendor": {1, 2}}, "extra"),
    ],
)
def test_what_is_wrong_is_named(part: dict[str, Any], told: str) -> None:
    problems = problems_of({"version": "v1", "nodes": [GOOD_NODE], **part})
    assert any(told in problem for problem in problems), problems


@pytest.mark.parametrize("raw", [None, 5, [], "text"])
def test_what_is_no_object_is_no_manifest(raw: Any) -> None:
    assert any("the manifest must be an object" in problem for problem in problems_of(raw))


@pytest.mark.parametrize("text", ["", "{", "[]", b"\xff", "NaN"])
def test_what_is_no_json_is_no_manifest(text: str | bytes) -> None:
    with pytest.raises(ManifestInvalid, match="manifest"):
        Manifest.from_json(text)


def test_the_constructor_keeps_the_rules_too() -> None:
    with pytest.raises(ManifestInvalid) as caught:
        Manifest(nodes=(Node("a", ""), Node("a", "X", [1])))  # type: ignore[arg-type]
    assert len(caught.value.problems) == 3
    with pytest.raises(ManifestInvalid):
        Manifest(nodes=(Node("a", "X", capabilities={"gpu": 1}),))  # type: ignore[arg-type]
