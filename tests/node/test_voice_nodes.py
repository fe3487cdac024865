from __future__ import annotations

import asyncio
import itertools
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rpe.data import Audio, RuntimeData, Text
from rpe.errors import ErrorKind, ManifestInvalid
from rpe.manifest.model import Manifest
from rpe.node import NodeFailed, NodeRegistry, PipelineRunner
from rpe.voice import SegmenterSettings, SpeechSegmenter, SpeechToText, TextToSpeech

REGISTRY = NodeRegistry(entry_point_group=None)
SPEECH = Path(__file__).parents[2] / "fakes/media/speech/sense-and-sensibility-0880.wav"


async def through(node_type: str, *items: RuntimeData, **params: Any) -> list[RuntimeData]:
    runner = PipelineRunner(Manifest.single("n", node_type=node_type, **params), REGISTRY)
    return (await runner.run({"n": items}))["n"]


async def test_segments_are_those_of_the_engine() -> None:
    audio = Audio.from_wav(SPEECH)
    places = [0, 5000, 5001, 30_000, audio.num_samples]
    pieces = [Audio(audio.samples[a:b], sample_rate=audio.sample_rate) for a, b in itertools.pairwise(places)]
    how = SegmenterSettings(max_segment_s=0.8, min_silence_s=0.2)
    engine = SpeechSegmenter(how)
    expected = engine.feed(audio) + engine.flush()
    assert len(expected) >= 3
    assert await through("SileroVad", *pieces, max_segment_ms=800, min_silence_ms=200) == expected


async def test_words_are_those_of_the_engine_and_the_loop_goes_on_meanwhile() -> None:
    audio = Audio.from_wav(SPEECH, metadata={"start_s": "0.0"})
    expected = SpeechToText().transcribe(audio)
    longest_s, ended = 0.0, asyncio.Event()

    async def watch() -> None:
        nonlocal longest_s
        loop = asyncio.get_running_loop()
        while not ended.is_set():
            before_s = loop.time()
            await asyncio.sleep(0.002)
            longest_s = max(longest_s, loop.time() - before_s)

    await through("PocketSphinx", audio)  # the decoder is loaded
    watching = asyncio.create_task(watch())
    began_s = asyncio.get_running_loop().time()
    assert await through("PocketSphinx", audio) == [expected]
    took_s = asyncio.get_running_loop().time() - began_s
    ended.set()
    await watching
    assert longest_s < took_s / 2


async def test_who_is_cancelled_does_not_wait_for_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def slow(self: SpeechToText, audio: Audio) -> Text:
        begun.set()
        go_on.wait(10)
        done.set()
        return Text("")

    monkeypatch.setattr(SpeechToText, "transcribe", slow)
    running = asyncio.create_task(through("PocketSphinx", Audio(np.zeros(10, np.int16), 16_000)))
    await asyncio.to_thread(begun.wait, 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not done.is_set()
    go_on.set()
    assert await asyncio.to_thread(done.wait, 10)


async def test_speech_is_that_of_the_engine() -> None:
    given = Text("hello", metadata={"k": "v"})
    assert await through("EspeakNg", given) == [TextToSpeech().speak(given)]
    params = {"voice": "en-us", "rate_wpm": 200, "pitch": 70}
    assert await through("EspeakNg", given, **params) == [
        TextToSpeech(voice="en-us", rate_wpm=200, pitch=70).speak(given)
    ]


@pytest.mark.parametrize(
    ("template", "before", "after"),
    [
        ("You said: {text}", "hi", "You said: hi"),
        ("{text}, {text}!", "{text}", "{text}, {text}!"),
        ("{0} {other} {text.upper} {text}", "a", "{0} {other} {text.upper} a"),
    ],
)
async def test_template(template: str, before: str, after: str) -> None:
    given = Text(before, language="en", metadata={"k": "v"})
    assert await through("Template", given, template=template) == [
        Text(after, language="en", metadata={"k": "v"})
    ]


@pytest.mark.parametrize(
    ("node_type", "params", "problem"),
    [
        ("SileroVad", {"threshold": 1}, "params.threshold must be at most 0.99"),
        ("SileroVad", {"padding_ms": 500}, "params: padding_s must not be longer than min_silence_s"),
        ("SileroVad", {"model": "x"}, "params.model is unknown"),
        ("PocketSphinx", {"language": "de"}, "params.language is unknown"),
        ("EspeakNg", {"voice": "../x"}, "params.voice cannot be the name of a voice"),
        ("EspeakNg", {"rate_wpm": 20}, "params.rate_wpm must be at least 80"),
        ("EspeakNg", {"pitch": 1.5}, "params.pitch must be an integer"),
        ("Template", {}, "params.template is missing"),
        ("Template", {"template": "hello"}, "params.template must hold {text}"),
    ],
)
def test_params_that_are_wrong(node_type: str, params: dict[str, Any], problem: str) -> None:
    with pytest.raises(ManifestInvalid) as caught:
        PipelineRunner(Manifest.single("n", node_type=node_type, **params), REGISTRY)
    assert problem in "\n".join(caught.value.problems)


@pytest.mark.parametrize(
    ("node_type", "data", "kind", "message"),
    [
        ("SileroVad", Audio(np.zeros(10, np.int16), 8000), ErrorKind.DATA_VALIDATION, "not 8000 Hz"),
        ("PocketSphinx", Text("a"), ErrorKind.DATA_VALIDATION, "takes audio"),
        (
            "PocketSphinx",
            Audio(np.zeros(70 * 16_000, np.int16), 16_000),
            ErrorKind.DATA_VALIDATION,
            "70.0 s is longer",
        ),
        ("EspeakNg", Text("a" * 5001), ErrorKind.DATA_VALIDATION, "5001 characters"),
    ],
)
async def test_what_fails_a_node(node_type: str, data: RuntimeData, kind: ErrorKind, message: str) -> None:
    with pytest.raises(NodeFailed, match=message) as caught:
        await through(node_type, data)
    assert caught.value.kind is kind
    assert caught.value.node == "n"


async def test_a_voice_that_does_not_exist_is_a_matter_of_configuration() -> None:
    with pytest.raises(NodeFailed, match="no voice named 'klingonese'") as caught:
        await through("EspeakNg", Text("a"), voice="klingonese")
    assert caught.value.kind is ErrorKind.CONFIGURATION
