from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

Rpe = Callable[..., Any]


def test_good_manifests_are_told_so(rpe: Rpe) -> None:
    files = sorted((ROOT / "docs/manifests").glob("*.yaml"))
    ended = rpe("manifest", "check", *files)
    assert ended.exit_code == 0
    assert ended.out.count(": good (") == len(files) == 4


def test_every_problem_of_every_file_is_told(rpe: Rpe, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        json.dumps(
            {
                "version": "v1",
                "nodes": [
                    {"id": "a", "node_type": "Gain", "params": {"gain": "loud"}},
                    {"id": "a", "node_type": "Nope"},
                    {"id": "b", "node_type": "RemotePipelineNode", "params": {"timeout_ms": 0}},
                ],
                "connections": [{"from": "a", "to": "zz"}],
            }
        )
    )
    (tmp_path / "b.yaml").write_text("version: v1\n")
    ended = rpe("manifest", "check", tmp_path / "a.json", tmp_path / "b.yaml")
    assert ended.exit_code == 1
    for told in (
        "2 nodes have the id 'a'",
        "connections[0].to is no node: 'zz'",
        "nodes[0].params.gain must be a number",
        "nodes[1].node_type: no node type is named 'Nope'",
        "nodes[2].params.timeout_ms must be at least 1",
        "nodes[2].params needs endpoint or endpoints",
        "nodes must hold at least one node",
    ):
        assert told in ended.err, told


def test_the_schema_is_that_of_manifests(rpe: Rpe, tmp_path: Path) -> None:
    printed = rpe("manifest", "schema")
    assert json.loads(printed.out)["title"] == "rpe pipeline manifest"
    assert rpe("manifest", "schema", "--out", tmp_path / "s.json").exit_code == 0
    assert (tmp_path / "s.json").read_text() == printed.out


def test_walking_finds_a_pipeline_that_calls_itself(rpe: Rpe, tmp_path: Path) -> None:
    inner: dict[str, Any] = {"version": "v1", "nodes": [{"id": "x", "node_type": "Echo"}]}
    for _ in range(12):
        params = {"endpoint": "a:1", "manifest": inner}
        inner = {"version": "v1", "nodes": [{"id": "r", "node_type": "RemotePipeline", "params": params}]}
    (tmp_path / "deep.json").write_text(json.dumps(inner))
    ended = rpe("manifest", "check", "--walk", tmp_path / "deep.json")
    assert ended.exit_code == 1 and "hops deep, and 10 are possible" in ended.err
