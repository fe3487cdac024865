"""Manifests written as YAML, and read from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpe.errors import ManifestInvalid
from rpe.manifest.model import Manifest

TEXT = """\
version: v1
metadata: {name: on}
nodes:
  - {id: a, node_type: Gain, params: {gain: 2, "on": no}}
  - {id: b, node_type: Echo}
connections: [{from: a, to: b}]
"""


def test_yaml_says_the_same_as_json() -> None:
    manifest = Manifest.from_yaml(TEXT)
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert dict(manifest.nodes[0].params) == {"gain": 2, "on": "no"}, "as YAML 1.2 has it"
    assert Manifest.from_yaml(TEXT.encode()) == manifest


def test_every_problem_of_the_form_is_told_at_once() -> None:
    with pytest.raises(ManifestInvalid) as caught:
        Manifest.from_yaml(
            "version: v2\nnodes: [{id: a, node_type: 3}, {id: a}]\nconnections: [{from: x, to: a}]"
        )
    assert len(caught.value.problems) == 5
    assert any("version" in problem for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version: v1\nversion: v1", "line 2: given twice"),
        ("[", "line 1: this is not YAML"),
        ("3", "the manifest must be an object"),
        ("", "the manifest must be an object"),
        (b"\xff\xfe", "not UTF-8"),
        ("a: &a [b, *a]", "an alias contains itself"),
        ("[" * 3000, "nested too deep"),
    ],
)
def test_what_is_no_manifest_is_told(text: str | bytes, told: str) -> None:
    with pytest.raises(ManifestInvalid, match=told):
        Manifest.from_yaml(text)


def test_a_few_lines_that_stand_for_billions_are_refused_soon() -> None:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(ManifestInvalid, match="more than 100000 parts"):
        Manifest.from_yaml("\n".join(lines))


def test_a_file_is_read_by_its_name(tmp_path: Path) -> None:
    manifest = Manifest.from_yaml(TEXT)
    (tmp_path / "m.yaml").write_text(TEXT, encoding="utf-8")
    (tmp_path / "m.yml").write_text(TEXT, encoding="utf-8")
    (tmp_path / "m.json").write_text(manifest.to_json(), encoding="utf-8")
    for name in ("m.yaml", "m.yml", "m.json"):
        assert Manifest.from_file(tmp_path / name) == manifest
    with pytest.raises(ManifestInvalid, match="cannot be read"):
        Manifest.from_file(tmp_path / "missing.json")
    (tmp_path / "bad.yaml").write_text("version: v1\n", encoding="utf-8")
    with pytest.raises(ManifestInvalid, match=r"bad\.yaml is not valid.*at least one node"):
        Manifest.from_file(tmp_path / "bad.yaml")
