"""Node types, and graphs of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rpe.clock import SYSTEM_CLOCK
from rpe.data import Audio, Binary, Json, RuntimeData, Text
from rpe.fakes.graph import Graph
from rpe.fakes.nodes import BUILT_IN, NodeCall, NodeFailed, NodeFunction, NodeOutput, node
from rpe.manifest.model import Connection, Manifest, Node
from rpe.transport.serving import ErrorType


async def run(node_type: str, data: RuntimeData, **params: Any) -> RuntimeData:
    graph = Graph(Manifest.single("n", node_type=node_type, **params), BUILT_IN, SYSTEM_CLOCK)
    ((result,),) = (await graph.run({"n": [data]})).values()
    return result


async def failure(node_type: str, data: RuntimeData, **params: Any) -> tuple[ErrorType, str, str]:
    with pytest.raises(NodeFailed) as caught:
        await run(node_type, data, **params)
    error = caught.value.error
    return error.error_type, error.node_id, error.message


def audio(*samples: float, rate: int = 8000, channels: int = 1) -> Audio:
    return Audio(np.array(samples, np.float32), rate, channels)


def chain(*node_types: str, outputs: tuple[int, ...] = ()) -> Manifest:
    nodes = [
        Node(f"n{number}", node_type, is_output_node=number in outputs)
        for number, node_type in enumerate(node_types)
    ]
    return Manifest(
        nodes=tuple(reversed(nodes)),  # the order of connections counts, not that of nodes
        connections=tuple(Connection(f"n{i}", f"n{i + 1}") for i in range(len(nodes) - 1)),
    )


@pytest.mark.parametrize("node_type", ["Echo", "PassThrough", "Delay"])
@pytest.mark.parametrize("data", [Text("hi"), Json([1]), Binary(b"x"), audio(0.5)])
async def test_nodes_that_give_back_what_came(node_type: str, data: RuntimeData) -> None:
    assert await run(node_type, data) == data


async def test_text_nodes_keep_what_is_beside_the_text() -> None:
    data = Text("Grüß Gott", language="de", metadata={"k": "v"})
    assert await run("Reverse", data) == Text("ttoG ßürG", language="de", metadata={"k": "v"})
    assert await run("UpperCase", data) == Text("GRÜSS GOTT", language="de", metadata={"k": "v"})


async def test_gain() -> None:
    assert await run("Gain", audio(0.5, -0.25), gain=2) == audio(1.0, -0.5)
    assert await run("Gain", Audio(np.array([16384], np.int16), 8000)) == audio(0.5)


async def test_resampling_keeps_the_length_in_time_and_each_channel_to_itself() -> None:
    left, right = np.linspace(0, 1, 800, dtype=np.float32), np.linspace(1, 0, 800, dtype=np.float32)
    data = Audio(np.stack([left, right], axis=1).reshape(-1), 8000, 2)
    for rate in (16_000, 4000, 11_025):
        result = await run("Resample", data, sample_rate=rate)
        assert isinstance(result, Audio)
        assert result.sample_rate == rate
        assert result.duration_s == pytest.approx(data.duration_s, abs=1 / rate)
        assert np.all(np.diff(result.frames[:, 0]) >= 0)
        assert np.all(np.diff(result.frames[:, 1]) <= 0)


async def test_resampling_a_tone_keeps_its_pitch() -> None:
    tone = np.sin(2 * np.pi * 200 * np.arange(8000) / 8000).astype(np.float32)
    result = await run("Resample", Audio(tone, 8000), sample_rate=16_000)
    assert isinstance(result, Audio)
    strongest = int(np.argmax(np.abs(np.fft.rfft(result.samples))))
    assert strongest == 200


async def test_what_a_node_cannot_take_is_told_with_its_name() -> None:
    kind, where, message = await failure("UpperCase", audio(0.0))
    assert (kind, where, message) == (ErrorType.TYPE_VALIDATION, "n", "takes text, not audio")
    assert (await failure("Gain", Text("x")))[0] is ErrorType.TYPE_VALIDATION
    assert (await failure("Gain", audio(0.0), gain="loud"))[0] is ErrorType.VALIDATION
    assert (await failure("Resample", audio(0.0), sample_rate=0))[0] is ErrorType.VALIDATION
    assert (await failure("Delay", Text("x"), delay_ms=-1))[0] is ErrorType.VALIDATION


async def test_nodes_run_in_the_order_of_their_connections() -> None:
    graph = Graph(chain("UpperCase", "Reverse", "Echo"), BUILT_IN, SYSTEM_CLOCK)
    assert await graph.run({"n0": [Text("ab")]}) == {"n2": [Text("BA")]}
    assert graph.name_output("n2") == "output"
    assert await graph.run({"n1": [Text("ab")]}) == {"n2": [Text("ba")]}  # fed in the middle
    assert await graph.run({"": [Text("ab")]}) == {"n2": [Text("BA")]}  # there is one input node only


async def test_several_outputs_go_by_the_names_of_their_nodes() -> None:
    graph = Graph(chain("UpperCase", "Reverse", outputs=(0, 1)), BUILT_IN, SYSTEM_CLOCK)
    assert await graph.run({"n0": [Text("ab")]}) == {"n0": [Text("AB")], "n1": [Text("BA")]}
    assert graph.name_output("n1") == "n1"


async def test_a_node_may_give_many_results_or_none() -> None:
    def words(data: RuntimeData, call: NodeCall) -> NodeOutput:
        assert isinstance(data, Text)
        return [Text(word) for word in data.text.split()]

    functions: dict[str, NodeFunction] = {**BUILT_IN, "Words": words}
    graph = Graph(chain("Words", "UpperCase"), functions, SYSTEM_CLOCK)
    assert await graph.run({"n0": [Text("a b")]}) == {"n1": [Text("A"), Text("B")]}
    assert await graph.run({"n0": [Text("")]}) == {"n1": []}


@pytest.mark.parametrize(
    ("manifest", "where", "told"),
    [
        (chain("Echo", "Magic"), "n1", "'Magic' is unknown"),
        (
            Manifest(
                nodes=(Node("a", "Echo"), Node("b", "Echo")),
                connections=(Connection("a", "b"), Connection("b", "a")),
            ),
            "",
            "in a circle",
        ),
    ],
)
def test_a_graph_that_cannot_run_is_a_validation_error(manifest: Manifest, where: str, told: str) -> None:
    with pytest.raises(NodeFailed) as caught:
        Graph(manifest, BUILT_IN, SYSTEM_CLOCK)
    assert caught.value.error.error_type is ErrorType.VALIDATION
    assert caught.value.error.node_id == where
    assert told in caught.value.error.message


async def test_input_for_a_node_that_there_is_not() -> None:
    graph = Graph(chain("Echo"), BUILT_IN, SYSTEM_CLOCK)
    with pytest.raises(NodeFailed, match="no node 'x'"):
        await graph.run({"x": [Text("a")]})


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="'Echo' is registered already"):
        node("Echo")(lambda data, call: data)
