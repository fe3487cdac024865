"""Files of pipelines: what they make, and every mistake with its line and path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rpe.clock import SYSTEM_CLOCK
from rpe.data import Audio, Json, Text
from rpe.errors import ConfigurationError
from rpe.fakes.definition import DefinitionInvalid
from rpe.fakes.nodes import NodeCall
from rpe.fakes.pipelines import PipelineDefinition, built_in, load_pipeline, read_pipeline

CALL = NodeCall("n", {}, SYSTEM_CLOCK)

PIPE = """
pipeline: mine
about: Says what it is told.
nodes:
  Said: {text: hello}
  Known: {json: {confidence: 0.9}}
  Played: {audio: sounds/x.wav}
  Echo: {is: Echo}
  Heard: {is: transcript, lines: [hello]}
  Own: "own_nodes:shout"
behaviour: {latency: {fixed_s: 0.01}, token: s3cret}
manifest: {version: v1, nodes: [{id: a, node_type: Heard}]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sounds").mkdir()
    Audio(np.arange(100, dtype=np.int16), 8000).to_wav(tmp_path / "sounds" / "x.wav")
    (tmp_path / "own_nodes.py").write_text(
        "from dataclasses import replace\n\n\ndef shout(data, call):\n"
        "    return replace(data, text=data.text.upper())\n"
    )
    (tmp_path / "mine.yaml").write_text(PIPE)
    return tmp_path


def check(definition: PipelineDefinition) -> None:
    given: dict[str, Any] = {
        name: definition.nodes[name](Text("x"), CALL) for name in ("Said", "Known", "Played", "Echo", "Own")
    }
    assert given["Said"] == Text("hello")
    assert given["Known"] == Json({"confidence": 0.9})
    assert given["Played"] == Audio(np.arange(100, dtype=np.int16), 8000)
    assert (given["Echo"], given["Own"]) == (Text("x"), Text("X"))
    assert definition.behaviour.token == "s3cret"
    assert definition.manifest is not None and definition.manifest.nodes[0].node_type == "Heard"


def test_a_file_is_read_with_the_paths_of_its_folder(folder: Path) -> None:
    definition = load_pipeline(folder / "mine.yaml")
    assert (definition.name, definition.about) == ("mine", "Says what it is told.")
    check(definition)
    check(read_pipeline(PIPE, folder))


def test_plain_data_may_hold_functions() -> None:
    data = {"pipeline": "p", "about": "a", "nodes": {"Own": lambda data, call: [data, data]}}
    definition = read_pipeline(data)
    assert definition.nodes["Own"](Text("x"), CALL) == [Text("x"), Text("x")]
    assert definition.plain_manifest.nodes[0].node_type == "Own"


WRONG = """
pipeline: my pipe
nodes:
  A: {is: transcript, lines: hello, word: 1}
  B: {is: nothing}
  C: {text: a, json: 1}
  D: "os:nothing"
  E: {audio: no.wav, x: 1}
  F: 7
  G: {is: Echo, x: 1}
  T: {is: tones, sample_rate: 8000, frame_ms: 3}
  U: {is: translation, unknown: x, words: {a: b, A: c}}
behaviour: {latency: {fixed: 1}, token: 5}
extra: 1
manifest:
  version: v1
  nodes:
    - {id: a, node_type: A, params: 3}
  connections: [{from: a, to: q}]
"""


def test_every_mistake_is_told_with_its_line_and_path(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(WRONG.lstrip())
    with pytest.raises(DefinitionInvalid) as wrong:
        load_pipeline(file)
    told = [problem.removeprefix(f"{file}:") for problem in wrong.value.problems]
    begins = [
        "1: about: this is missing",
        "1: pipeline: a name has letters",
        "3: nodes.A.lines: a list is needed",
        "3: nodes.A.word: this key is unknown",
        "4: nodes.B.is: there is no ready-made 'nothing'; there are ",
        "5: nodes.C: a node is ",
        "6: nodes.D: ",
        "7: nodes.E.audio: no.wav cannot be read: No such file",
        "7: nodes.E.x: this key is unknown",
        "8: nodes.F: a node is ",
        "9: nodes.G.x: Echo has no settings here",
        "10: nodes.T: frame_ms of 3 leaves no room",
        "11: nodes.U.unknown: must hold {word}",
        "11: nodes.U.words: a word is in the table twice",
        "12: behaviour.latency.fixed: this key is unknown",
        "12: behaviour.token: ",
        "13: extra: this key is unknown",
        "17: manifest.nodes[0].params: must be an object",
        "18: manifest.connections[0].to: is no node",
    ]
    assert len(told) == len(begins), told
    for line, begin in zip(told, begins, strict=True):
        assert line.startswith(begin)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1: the file is empty"),
        ("- 1", "1: a pipeline is a mapping"),
        ("pipeline: [}", "this is not YAML"),
        ("pipeline: x\npipeline: y", "2: pipeline: given twice"),
        ("pipeline: x\nabout: y\nnodes: {}", "3: nodes: at least one is needed"),
        (
            "pipeline: x\nabout: y\nnodes: {A: {is: Echo}}\n"
            "manifest: {version: v1, nodes: [{id: a, node_type: B}]}",
            "4: manifest.nodes[0].node_type: B is not among the nodes of this file",
        ),
    ],
)
def test_what_is_no_pipeline_is_told(text: str, told: str) -> None:
    with pytest.raises(DefinitionInvalid) as wrong:
        read_pipeline(text)
    assert told in "\n".join(wrong.value.problems)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        load_pipeline(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"pipeline: \xff")
    with pytest.raises(DefinitionInvalid, match="not UTF-8"):
        load_pipeline(tmp_path / "bytes.yaml")


def test_a_token_is_in_no_text_of_a_definition(folder: Path) -> None:
    assert "s3cret" not in repr(load_pipeline(folder / "mine.yaml"))


def test_an_unknown_name_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"no ready-made pipeline 'asr'\n.*vad, stt, translate"):
        built_in("asr")


def test_an_installed_package_has_the_files_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import rpe

    file = tmp_path / "site" / "rpe" / "content" / "fakes" / "pipelines" / "stt.yaml"
    file.parent.mkdir(parents=True)
    file.touch()
    monkeypatch.setattr(rpe, "__file__", str(tmp_path / "site" / "rpe" / "__init__.py"))
    assert built_in("stt") == file
    with pytest.raises(ConfigurationError, match="missing"):
        built_in("tts")
