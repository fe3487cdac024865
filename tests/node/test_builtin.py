from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rpe.clock import SYSTEM_CLOCK
from rpe.data import Audio, Payload, RuntimeData, Text
from rpe.errors import ErrorKind
from rpe.fakes.nodes import BUILT_IN as FAKE_NODES
from rpe.fakes.nodes import NodeCall as FakeCall
from rpe.manifest.model import Manifest
from rpe.node import NodeFailed, NodeRegistry, PipelineRunner

REGISTRY = NodeRegistry(entry_point_group=None)
RATE = 1000  # frames per second: one sample is one millisecond


async def through(node_type: str, *items: RuntimeData, **params: Any) -> list[RuntimeData]:
    runner = PipelineRunner(Manifest.single("n", node_type=node_type, **params), REGISTRY)
    return (await runner.run({"n": items}))["n"]


def audio(samples: Any, dtype: Any = np.float32, **fields: Any) -> Audio:
    return Audio(np.array(samples, dtype), **{"sample_rate": RATE, **fields})


@pytest.mark.parametrize(
    ("node_type", "params", "before", "after"),
    [
        ("PassThrough", {}, "Ab", "Ab"),
        ("Echo", {}, "Ab", "Ab"),
        ("UpperCase", {}, "straße", "STRASSE"),
        ("LowerCase", {}, "AbC", "abc"),
        ("Strip", {}, " \t a b \n", "a b"),
        ("Strip", {"chars": "-"}, "--a- ", "a- "),
        ("Replace", {"find": "a", "replacement": "oo"}, "banana", "boonoonoo"),
        ("Replace", {"find": "an"}, "banana", "ba"),
    ],
)
async def test_text(node_type: str, params: dict[str, Any], before: str, after: str) -> None:
    given = Text(before, language="de", channel="c", metadata={"k": "v"})
    assert await through(node_type, given, **params) == [
        Text(after, language="de", channel="c", metadata={"k": "v"})
    ]


async def test_text_that_its_encoding_cannot_carry_any_more() -> None:
    with pytest.raises(NodeFailed) as caught:
        await through("UpperCase", Text("ÿ", encoding="iso8859-1"))
    assert caught.value.kind is ErrorKind.DATA_VALIDATION


@settings(max_examples=40, deadline=None)
@given(
    samples=st.lists(st.integers(-(2**15), 2**15 - 1), max_size=30),
    channels=st.integers(1, 2),
    rate=st.integers(1, 3000),
    gain=st.floats(-4, 4),
)
async def test_audio_nodes_do_what_those_of_the_fakes_do(
    samples: list[int], channels: int, rate: int, gain: float
) -> None:
    whole = audio(samples[: len(samples) - len(samples) % channels], np.int16, channels=channels)
    for node_type, params in (("Gain", {"gain": gain}), ("Resample", {"sample_rate": rate})):
        expected = FAKE_NODES[node_type](whole, FakeCall("n", params, SYSTEM_CLOCK))
        assert isinstance(expected, Payload)
        assert await through(node_type, whole, **params) == [expected]


async def test_collect_puts_audio_end_to_end() -> None:
    parts = [audio([1, 2], np.int16, timestamp_us=5), audio([], np.int16), audio([3], np.int16)]
    assert await through("Collect", *parts) == [audio([1, 2, 3], np.int16, timestamp_us=5)]
    mixed = [audio([0.5]), audio([2**14], np.int16)]
    assert await through("Collect", *mixed) == [audio([0.5, 0.5])]


async def test_collect_joins_text() -> None:
    words = [Text("a", language="en"), Text("b"), Text("c")]
    assert await through("Collect", *words) == [Text("a b c", language="en")]
    assert await through("Collect", *words, separator="") == [Text("abc", language="en")]
    assert await through("Collect") == []


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([Text("a"), audio([1])], "audio cannot be collected together with text"),
        ([audio([1]), audio([1], sample_rate=8000)], "1000 Hz of 1 channels and 8000 Hz"),
        ([Text("x" * 20)], "more than 16 bytes"),
        ([audio([0, 0, 0]), audio([0, 0])], "more than 16 bytes"),
    ],
)
async def test_collect_refuses(items: list[RuntimeData], message: str) -> None:
    with pytest.raises(NodeFailed, match=message) as caught:
        await through("Collect", *items, max_bytes=16)
    assert caught.value.kind is ErrorKind.DATA_VALIDATION


GATE = {"frame_ms": 10, "threshold_dbfs": -20, "hangover_ms": 20, "max_segment_ms": 1000}
LOUD, SOFT = 0.5, 0.01


def sound(*runs: tuple[float, int]) -> NDArray[np.float32]:
    """Runs of (level, milliseconds); the sign changes with each sample."""
    levels = np.concatenate([np.full(ms, level) for level, ms in runs] or [np.empty(0)])
    return (levels * np.where(np.arange(len(levels)) % 2, -1, 1)).astype(np.float32)


async def segments(*items: Audio, **params: Any) -> list[tuple[int, int]]:
    """Begin and length of each segment, in milliseconds."""
    given = await through("VadGate", *items, **{**GATE, **params})
    assert all(isinstance(item, Audio) for item in given)
    return [((item.timestamp_us or 0) // 1000, item.num_samples) for item in given if isinstance(item, Audio)]


async def test_the_gate_cuts_speech_out_with_its_hangover() -> None:
    heard = audio(sound((SOFT, 50), (LOUD, 30), (SOFT, 100), (LOUD, 10), (SOFT, 10), (LOUD, 10), (SOFT, 50)))
    assert await segments(heard) == [(50, 50), (180, 50)]
    assert await segments(heard, hangover_ms=0) == [(50, 30), (180, 10), (200, 10)]
    assert await segments(heard, hangover_ms=100) == [(50, 210)]
    first, _ = await through("VadGate", heard, **GATE)
    assert isinstance(first, Audio)
    assert np.array_equal(first.samples, heard.samples[50:100])


async def test_silence_gives_nothing_and_the_end_closes_a_segment() -> None:
    assert await segments(audio(sound((SOFT, 95)))) == []
    assert await segments(audio([])) == []
    assert await segments(audio(sound((SOFT, 20), (LOUD, 25)))) == [(20, 25)]


async def test_a_long_segment_is_cut() -> None:
    assert await segments(audio(sound((LOUD, 100))), max_segment_ms=40) == [(0, 40), (40, 40), (80, 20)]


async def test_a_change_of_format_ends_the_segment() -> None:
    first = audio(sound((LOUD, 15)), timestamp_us=7_000_000)
    stereo = audio(sound((LOUD, 40)), channels=2)
    assert await segments(first, stereo) == [(7000, 15), (0, 40)]


async def test_integers_are_measured_against_their_full_scale() -> None:
    heard = (sound((SOFT, 20), (LOUD, 20), (SOFT, 40)) * 32767).astype(np.int16)
    (segment,) = await through("VadGate", audio(heard, np.int16), **GATE)
    assert isinstance(segment, Audio)
    assert segment.samples.dtype == np.int16
    assert np.array_equal(segment.samples, heard[20:60])


@settings(max_examples=40, deadline=None)
@given(
    runs=st.lists(st.tuples(st.sampled_from([LOUD, SOFT]), st.integers(1, 60)), max_size=8),
    cuts=st.lists(st.integers(0, 300), max_size=8),
)
async def test_how_the_audio_is_cut_into_items_makes_no_difference(
    runs: list[tuple[float, int]], cuts: list[int]
) -> None:
    heard = sound(*runs)
    places = [0, *sorted(min(cut, len(heard)) for cut in cuts), len(heard)]
    parts = [audio(heard[a:b]) for a, b in itertools.pairwise(places)]
    whole = await through("VadGate", audio(heard), **GATE)
    assert await through("VadGate", *parts, **GATE) == whole
