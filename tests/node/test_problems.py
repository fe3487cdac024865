"""Every problem of a manifest for a run here, told at once."""

from __future__ import annotations

from typing import Any

import pytest

from rpe.node.problems import manifest_problems


def node(node_id: Any, node_type: Any = "Echo", **params: Any) -> dict[str, Any]:
    return {"id": node_id, "node_type": node_type, "params": params}


def manifest(*nodes: dict[str, Any], connections: Any = (), version: str = "v1") -> dict[str, Any]:
    joined = [{"from": source, "to": target} for source, target in connections]
    return {"version": version, "nodes": list(nodes), "connections": joined}


def test_a_good_manifest_has_none() -> None:
    assert manifest_problems(manifest(node("a"), node("b"), connections=[("a", "b")])) == []


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (manifest(node("a"), version="v9"), ["version must be 'v1'"]),
        (manifest(), ["at least one node"]),
        (manifest(node("a"), node("a")), ["2 nodes have the id 'a'"]),
        (manifest(node("a", "Nope")), ["nodes[0].node_type: no node type is named 'Nope'"]),
        (manifest(node("a"), connections=[("a", "b")]), ["connections[0].to is no node: 'b'"]),
        (manifest(node("a"), node("b"), connections=[("a", "b"), ("b", "a")]), ["circle"]),
        (
            manifest(node("a", "Gain"), node("b", "UpperCase"), connections=[("a", "b")]),
            ["connections[0]: 'a' gives audio, 'b' takes text"],
        ),
        (manifest(node("a", "Gain", gain="x", loud=1)), ["params.gain must be", "params.loud is unknown"]),
        ({}, ["version must be", "at least one node"]),
        ({"version": "v1", "nodes": 3}, ["nodes must be a list"]),
    ],
)
def test_each_kind_of_problem_is_told(raw: dict[str, Any], told: list[str]) -> None:
    problems = manifest_problems(raw)
    assert [any(part in problem for problem in problems) for part in told] == [True] * len(told), problems


def test_problems_of_the_form_do_not_hide_those_of_the_nodes() -> None:
    raw = manifest(
        node("a", "Gain", gain="x"),
        node(3, 4),
        node("a", "Nope"),
        {"id": "p", "node_type": "Gain", "params": 3},
    )
    problems = "\n".join(manifest_problems({**raw, "version": "v0"}))
    for told in (
        "version must be",
        "2 nodes have the id 'a'",
        "nodes[0].params.gain must be",
        "nodes[1].id",
        "nodes[1].node_type",
        "nodes[2].node_type: no node type is named 'Nope'",
        "nodes[3].params must be an object",
    ):
        assert told in problems
