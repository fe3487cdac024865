from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rpe.clock import SYSTEM_CLOCK
from rpe.data import Audio, RuntimeData, Text
from rpe.fakes import voice
from rpe.fakes.graph import Graph
from rpe.fakes.nodes import BUILT_IN, NodeFailed
from rpe.fakes.voice import VOICE_NODES
from rpe.manifest.model import Manifest
from rpe.node import NodeRegistry, PipelineRunner
from rpe.transport.serving import ErrorType
from rpe.voice import SpeechToText, TextToSpeech

SPEECH = Path(__file__).parents[2] / "fakes/media/speech/sense-and-sensibility-0880.wav"


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    voice._heard.clear()
    voice._said.clear()
    yield
    voice._heard.clear()
    voice._said.clear()


async def through(node_type: str, data: RuntimeData, **params: Any) -> RuntimeData:
    manifest = Manifest.single("n", node_type=node_type, **params)
    (result,) = (await Graph(manifest, VOICE_NODES, SYSTEM_CLOCK).run({"": [data]}))["n"]
    return result


def piece(start: int = 8000, **fields: Any) -> Audio:
    return Audio(Audio.from_wav(SPEECH).samples[start : start + 16_000], sample_rate=16_000, **fields)


@pytest.mark.parametrize(
    ("node_type", "data", "params"),
    [
        ("PocketSphinx", piece(metadata={"start_s": "0.5"}), {}),
        ("EspeakNg", Text("hello", metadata={"k": "v"}), {}),
        ("EspeakNg", Text("hello"), {"voice": "en-us", "rate_wpm": 200, "pitch": 70}),
        ("Template", Text("a", metadata={"k": "v"}), {"template": "<{text}> {x}"}),
    ],
)
async def test_they_do_what_those_of_the_runner_do(
    node_type: str, data: RuntimeData, params: dict[str, Any]
) -> None:
    runner = PipelineRunner(
        Manifest.single("n", node_type=node_type, **params), NodeRegistry(entry_point_group=None)
    )
    expected = (await runner.run(data))["n"]
    assert [await through(node_type, data, **params)] == expected
    assert [await through(node_type, data, **params)] == expected  # as it is remembered


async def test_what_was_heard_is_not_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Audio] = []

    def transcribe(self: SpeechToText, audio: Audio) -> Text:
        asked.append(audio)
        return Text(f"words {len(asked)}", metadata=audio.metadata)

    monkeypatch.setattr(SpeechToText, "transcribe", transcribe)
    monkeypatch.setattr(voice, "REMEMBERED", 2)
    first, again = piece(metadata={"a": "1"}), piece(metadata={"b": "2"})
    assert await through("PocketSphinx", first) == Text("words 1", metadata={"a": "1"})
    assert await through("PocketSphinx", again) == Text("words 1", metadata={"b": "2"})
    assert await through("PocketSphinx", Audio(first.samples, 8000)) == Text("words 2")
    assert await through("PocketSphinx", first) == Text("words 1", metadata={"a": "1"})
    assert await through("PocketSphinx", piece(9000)) == Text("words 3")  # the oldest of the two goes
    assert await through("PocketSphinx", Audio(first.samples, 8000)) == Text("words 4")
    assert len(voice._heard) == 2


async def test_what_is_spoken_is_told_apart_by_all_that_it_depends_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []

    def speak(self: TextToSpeech, text: Text | str) -> Audio:
        said.append(str(text))
        return Audio(np.full(1, len(said), np.int16), 22_050)

    monkeypatch.setattr(TextToSpeech, "speak", speak)
    cases: list[tuple[str, dict[str, Any]]] = [
        ("a", {}),
        ("b", {}),
        ("a", {"voice": "de"}),
        ("a", {"rate_wpm": 200}),
        ("a", {"pitch": 51}),
    ]
    for _ in range(2):
        for number, (text, params) in enumerate(cases, 1):
            given = await through("EspeakNg", Text(text), **params)
            assert isinstance(given, Audio)
            assert given.samples.tolist() == [number]
    assert len(said) == len(cases)


@pytest.mark.parametrize(
    ("node_type", "data", "params", "message", "error_type"),
    [
        ("PocketSphinx", Text("a"), {}, "takes audio, not text", ErrorType.TYPE_VALIDATION),
        ("EspeakNg", piece(), {}, "takes text, not audio", ErrorType.TYPE_VALIDATION),
        ("Template", piece(), {}, "takes text, not audio", ErrorType.TYPE_VALIDATION),
        ("Template", Text("a"), {}, "must hold {text}", ErrorType.VALIDATION),
        ("Template", Text("a"), {"template": 1}, "template must be a text", ErrorType.VALIDATION),
        ("EspeakNg", Text("a"), {"voice": "/x"}, "cannot be the name of a voice", ErrorType.VALIDATION),
        ("EspeakNg", Text("a"), {"voice": 3}, "voice must be a text", ErrorType.VALIDATION),
        ("EspeakNg", Text("a"), {"pitch": 1.5}, "pitch must be a whole number", ErrorType.VALIDATION),
        ("EspeakNg", Text("a"), {"rate_wpm": 9}, "rate_wpm must be from 80", ErrorType.VALIDATION),
        ("EspeakNg", Text("a"), {"voice": "klingonese"}, "no voice named", ErrorType.NODE_EXECUTION),
    ],
)
async def test_what_fails(
    node_type: str, data: RuntimeData, params: dict[str, Any], message: str, error_type: ErrorType
) -> None:
    with pytest.raises(NodeFailed) as caught:
        await through(node_type, data, **params)
    assert message in caught.value.error.message
    assert caught.value.error.error_type is error_type


def test_importing_the_module_registers_them() -> None:
    assert {name: BUILT_IN[name] for name in VOICE_NODES} == dict(VOICE_NODES)
