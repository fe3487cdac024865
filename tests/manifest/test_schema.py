"""The JSON Schema of manifests agrees with the checks of the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from rpe.manifest.schema import manifest_schema

ROOT = Path(__file__).parents[2]
VALIDATOR = Draft202012Validator(manifest_schema())


def problems(manifest: Any) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(manifest)]


def remote(**params: Any) -> dict[str, Any]:
    given = {"endpoint": "a:1", "manifest": {"version": "v1", "nodes": [{"id": "x", "node_type": "Echo"}]}}
    node = {"id": "r", "node_type": "RemotePipelineNode", "params": {**given, **params}}
    return {"version": "v1", "nodes": [node]}


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(manifest_schema())


@pytest.mark.parametrize("path", sorted((ROOT / "docs/manifests").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_of_the_docs_keep_it(path: Path) -> None:
    assert problems(yaml.safe_load(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "manifest",
    [
        {"nodes": [{"id": "a", "node_type": "Echo"}]},
        {"version": "v2", "nodes": [{"id": "a", "node_type": "Echo"}]},
        {"version": "v1", "nodes": []},
        {"version": "v1", "nodes": [{"id": " ", "node_type": "Echo"}]},
        {"version": "v1", "nodes": [{"id": "a", "node_type": "Echo", "is_streaming": "yes"}]},
        {"version": "v1", "nodes": [{"id": "a", "node_type": "Echo", "input_types": ["smell"]}]},
        {"version": "v1", "nodes": [{"id": "a", "node_type": "Echo"}], "connections": [{"from": "a"}]},
        {"version": "v1", "nodes": [{"id": "a", "node_type": "RemotePipeline"}]},
        remote(endpoints=["b:1"]),
        remote(manifest_url="https://x.org/m"),
        remote(timeout_ms=0),
        remote(timeout_ms=300_001),
        remote(retry={"max_retries": -1}),
        remote(load_balance="best"),
        remote(unknown=1),
        remote(manifest={"version": "v1", "nodes": []}),
        remote(fallback=[{}]),
        remote(fallback=[{"cached": {}}]),
    ],
)
def test_what_the_checks_refuse_the_schema_refuses(manifest: dict[str, Any]) -> None:
    assert problems(manifest)


def test_what_is_not_of_this_project_may_be_in_a_manifest() -> None:
    node = {"id": "a", "node_type": "TheirNode", "params": {"x": 1}, "their": 1}
    assert problems({"version": "v1", "nodes": [node], "theirs": {}}) == []
