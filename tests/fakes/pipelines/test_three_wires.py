"""One scenario on three wires: the same calls of a ready-made pipeline have the same answers, bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import cast

import numpy as np

from rpe.data import Audio, Binary, Json, RuntimeData, Text
from rpe.fakes import Kind
from rpe.fakes.behaviour import Latency
from rpe.fakes.pipelines import (
    PipelineDefinition,
    PipelineFake,
    built_in,
    frame_numbers,
    load_pipeline,
    read_pipeline,
)
from rpe.testing.wires import Answers, Calls, answers_on_all, differences

WIRES = {"grpc": 0, "http": 0, "webrtc": 0}


def speech(*parts: tuple[float, float]) -> Audio:
    """Noise of these lengths in seconds and levels, one after the other."""
    rng = np.random.default_rng(7)
    samples = [rng.normal(0, level, round(length_s * 8000)) for length_s, level in parts]
    return Audio(np.clip(np.concatenate(samples), -1, 1).astype(np.float32), 8000)


SPEECH = [speech((0.2, 0), (0.5, 0.2), (0.4, 0), (0.3, 0.1), (0.3, 0)), speech((0.3, 0)), speech((0.9, 0.3))]
TEXTS = [Text("Good morning, we have a table!"), Text(""), Text("für zwei — 二人")]
ANY: list[RuntimeData] = [*TEXTS, speech((0.1, 0.2)), Json({"a": [1, 2.5, None]}), Binary(b"\x00\xff")]


async def same(definition: PipelineDefinition, data: Sequence[RuntimeData]) -> Answers:
    """What all three wires answer, which is the same."""
    async with PipelineFake(definition, WIRES) as fake:
        calls = Calls(definition.plain_manifest, unary=data, chunks=data)
        answers = await answers_on_all(fake, calls)
        received = [entry for entry in fake.journal if entry.kind is Kind.RECEIVED]
    assert [each.wire for each in answers] == list(WIRES)
    assert differences(answers) == []
    assert len(received) == len(WIRES) * (len(data) + 1)
    return answers[0]


async def test_vad() -> None:
    answers = await same(load_pipeline(built_in("vad")), SPEECH)
    assert answers.errors == []
    # A session has a result for each segment of speech, and a call has one for all of them.
    assert [len(answers.data(f"chunk {n}")) for n in range(3)] == [2, 0, 1]
    assert [len(answers.data(f"execute {n}")) for n in range(3)] == [1, 1, 1]


async def test_stt() -> None:
    answers = await same(load_pipeline(built_in("stt")), SPEECH)
    assert answers.errors == []
    heard = [cast(Text, data).text for data in answers.data("chunk 0")]
    assert len(heard) == 4 and all(after.startswith(before) for before, after in pairwise(heard))
    assert answers.data("execute 0") == [answers.data("chunk 0")[-1]]
    assert answers.data("chunk 1") == []


async def test_translate() -> None:
    answers = await same(load_pipeline(built_in("translate")), TEXTS)
    assert answers.errors == []
    assert cast(Text, answers.data("execute 0")[0]).text == "Guten Morgen, wir haben einen Tisch!"
    assert answers.data("chunk 2") == answers.data("execute 2")


async def test_tts() -> None:
    answers = await same(load_pipeline(built_in("tts")), TEXTS)
    assert answers.errors == []
    pieces = cast(list[Audio], answers.data("chunk 0"))
    assert [frame_numbers(piece) for piece in pieces] == [list(range(n, n + 5)) for n in range(0, 60, 5)]
    [whole] = cast(list[Audio], answers.data("execute 0"))
    assert frame_numbers(whole) == list(range(60))


async def test_echo() -> None:
    answers = await same(load_pipeline(built_in("echo")), ANY)
    assert answers.errors == []
    assert [answers.data(f"execute {n}") for n in range(len(ANY))] == [[data] for data in ANY]
    assert [answers.data(f"chunk {n}") for n in range(len(ANY))] == [[data] for data in ANY]


async def test_flaky_fails_alike_on_all_wires() -> None:
    definition = load_pipeline(built_in("flaky"))
    assert definition.behaviour.latency is not None
    # The times are another matter: here they only cost some.
    fast = definition.behaviour.model_copy(update={"latency": Latency(uniform_s=(0.0, 0.002))})
    data = [Text(str(number)) for number in range(24)]
    answers = await same(replace(definition, behaviour=fast), data)
    assert {"remote_overloaded", "remote_execution_failed"} <= set(answers.errors)
    assert answers.errors[-1] == "stream_broken"
    assert sum(len(answers.data(f"chunk {n}")) for n in range(24)) == 20


async def test_a_whole_chain_of_them() -> None:
    parts = [load_pipeline(built_in(name)) for name in ("vad", "stt", "translate", "tts")]
    nodes = {name: function for part in parts for name, function in part.nodes.items()}
    chain = read_pipeline(
        {
            "pipeline": "interpreter",
            "about": "Hears one language and speaks another.",
            "nodes": nodes,
            "manifest": {
                "version": "v1",
                "nodes": [{"id": name, "node_type": name, "is_streaming": True} for name in nodes],
                "connections": [{"from": before, "to": after} for before, after in pairwise(nodes)],
            },
        }
    )
    answers = await same(chain, SPEECH[:1])
    assert answers.errors == []
    spoken = cast(list[Audio], answers.data("chunk 0"))
    # Two segments, of one word each or more: the frames of each are numbered from 0.
    numbers = [number for piece in spoken for number in frame_numbers(piece)]
    assert numbers.count(0) == 2 and numbers.count(9) == 2


async def test_a_wire_that_answers_otherwise_is_found() -> None:
    class Odd(PipelineFake):
        """On its last wire it is another server that answers."""

        async def start(self) -> None:
            await super().start()
            self.endpoints["http"] = other.endpoints["http"]

    echo = load_pipeline(built_in("echo"))
    turned = read_pipeline({"pipeline": "odd", "about": "a", "nodes": {"Echo": {"is": "Reverse"}}})
    async with PipelineFake(turned, {"http": 0}) as other, Odd(echo, {"grpc": 0, "http": 0}) as fake:
        answers = await answers_on_all(fake, Calls(echo.plain_manifest, unary=[Text("otto"), Text("ab")]))
    [told] = differences(answers)
    assert told.startswith("outcome 1: grpc has ") and "http has" in told


async def test_a_session_is_read_while_it_is_written() -> None:
    """More goes through than a server and a socket keep of what nobody reads."""
    echo = load_pipeline(built_in("echo"))
    chunks = [Binary(bytes(2**16))] * 120
    async with PipelineFake(echo, {"http": 0}) as fake:
        [answers] = await answers_on_all(fake, Calls(echo.plain_manifest, chunks=chunks, timeout_s=8))
    assert answers.errors == [] and len(answers.outcomes) == len(chunks) + 1
