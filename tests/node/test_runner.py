from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpe.data import BatchHint, Control, RuntimeData, Text
from rpe.errors import ConfigurationError
from rpe.manifest.model import Connection, Manifest, Node
from rpe.node import Emit, NodeCall, NodeRegistry, NodeType, PipelineNode, PipelineRunner, node

REGISTRY = NodeRegistry(entry_point_group=None)


def graph(nodes: dict[str, str], *edges: str, outputs: str = "") -> Manifest:
    return Manifest(
        nodes=tuple(Node(key, kind, is_output_node=key in outputs.split()) for key, kind in nodes.items()),
        connections=tuple(Connection(*edge.split()) for edge in edges),
    )


def texts(items: list[RuntimeData]) -> list[str]:
    return [item.text for item in items if isinstance(item, Text)]


@node("Trace")
def trace(data: Text, call: NodeCall) -> Text:
    """Writes its id behind the text, so that a text tells the path it took."""
    return Text(f"{data.text}>{call.node_id}")


TRACED = NodeRegistry([trace], entry_point_group=None)


async def test_one_node() -> None:
    runner = PipelineRunner(Manifest.single("up", node_type="UpperCase"), REGISTRY)
    assert await runner.run(Text("a")) == {"up": [Text("A")]}


async def test_fan_out_and_fan_in() -> None:
    nodes = dict.fromkeys("abcd", "Trace")
    runner = PipelineRunner(graph(nodes, "a b", "a c", "b d", "c d"), TRACED)
    given = texts((await runner.run({"a": [Text("1"), Text("2")]}))["d"])
    assert sorted(given) == ["1>a>b>d", "1>a>c>d", "2>a>b>d", "2>a>c>d"]
    assert [t for t in given if "b" in t] == ["1>a>b>d", "2>a>b>d"]


async def test_two_connections_between_two_nodes_carry_twice() -> None:
    runner = PipelineRunner(graph(dict.fromkeys("ab", "Trace"), "a b", "a b"), TRACED)
    assert texts((await runner.run(Text("1")))["b"]) == ["1>a>b"] * 2


async def test_a_marked_node_is_an_output_and_feeds_others_too() -> None:
    runner = PipelineRunner(graph(dict.fromkeys("ab", "Trace"), "a b", outputs="a b"), TRACED)
    given = await runner.run(Text("1"))
    assert {key: texts(items) for key, items in given.items()} == {"a": ["1>a"], "b": ["1>a>b"]}


async def test_any_node_can_be_fed_and_an_unknown_one_not() -> None:
    runner = PipelineRunner(graph(dict.fromkeys("ab", "Trace"), "a b"), TRACED)
    assert texts((await runner.run({"b": Text("1")}))["b"]) == ["1>b"]
    with pytest.raises(ConfigurationError, match="'z'") as caught:
        await runner.run({"z": Text("1")})
    assert caught.value.hint == "nodes: a, b"


async def test_no_input_gives_no_output() -> None:
    assert await PipelineRunner(graph(dict.fromkeys("ab", "Trace"), "a b"), TRACED).run({}) == {"b": []}


def test_a_queue_holds_at_least_one() -> None:
    with pytest.raises(ConfigurationError, match="queue_size"):
        PipelineRunner(Manifest.single("a", node_type="Echo"), REGISTRY, queue_size=0)


@node("Async")
async def later(data: Text, call: NodeCall) -> list[Text]:
    await asyncio.sleep(0)
    return [data, data]


@node("AsyncGen")
async def generated(data: Text, call: NodeCall) -> AsyncIterator[Text]:
    yield data
    yield data


@node("Gen")
def lazily(data: Text, call: NodeCall) -> Iterator[Text]:
    yield data
    yield data


@node("None")
def nothing(data: Text, call: NodeCall) -> None:
    return None


@pytest.mark.parametrize(("kind", "count"), [("Async", 2), ("AsyncGen", 2), ("Gen", 2), ("None", 0)])
async def test_functions_of_all_shapes(kind: str, count: int) -> None:
    registry = NodeRegistry([later, generated, lazily, nothing], entry_point_group=None)
    runner = PipelineRunner(Manifest.single("f", node_type=kind), registry)
    assert texts((await runner.run(Text("x")))["f"]) == ["x"] * count
    figures = runner.metrics()["f"]
    assert (figures.items_in, figures.items_out, figures.errors) == (1, count, 0)


async def test_control_passes_by_a_node_that_does_not_take_it_in_order() -> None:
    hint = Control(BatchHint(3))
    runner = PipelineRunner(graph({"a": "UpperCase", "b": "LowerCase"}, "a b"), REGISTRY)
    assert (await runner.run({"a": [Text("X"), hint, Text("Y")]}))["b"] == [Text("x"), hint, Text("y")]
    assert runner.metrics()["a"].items_in == 2


class Held(PipelineNode):
    """Gives everything at the end, in reverse."""

    def __init__(self, call: NodeCall) -> None:
        self._items: list[RuntimeData] = []

    async def process(self, data: RuntimeData, emit: Emit) -> None:
        self._items.append(data)

    async def flush(self, emit: Emit) -> None:
        for item in reversed(self._items):
            await emit(item)


async def test_flush_comes_after_the_last_item_of_all_sources_and_each_run_has_nodes_of_its_own() -> None:
    registry = NodeRegistry([NodeType("Held", Held), trace], entry_point_group=None)
    shape = graph({"a": "Trace", "h": "Held", "i": "Held"}, "a h", "a i", "h i")
    runner = PipelineRunner(shape, registry, queue_size=1)
    runs = await asyncio.gather(*(runner.run({"a": [Text(f"{n}{i}") for i in range(3)]}) for n in "xyz"))
    for name, outputs in zip("xyz", runs, strict=True):
        assert sorted(texts(outputs["i"])) == sorted([f"{name}{i}>a" for i in range(3)] * 2)


@st.composite
def acyclic(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    """A graph whose connections lead from lower numbers to higher ones, some of them double."""
    count = draw(st.integers(1, 7))
    pairs = [(a, b) for b in range(count) for a in range(b)]
    edges = draw(st.lists(st.sampled_from(pairs), max_size=10)) if pairs else []
    return count, edges


@settings(max_examples=60, deadline=None)
@given(shape=acyclic(), items=st.integers(0, 5), queue_size=st.integers(1, 4), data=st.data())
def test_every_item_takes_every_path_once_and_in_order(
    shape: tuple[int, list[tuple[int, int]]], items: int, queue_size: int, data: st.DataObject
) -> None:
    count, edges = shape
    order = data.draw(st.permutations(range(count)))
    manifest = Manifest(
        nodes=tuple(Node(f"n{number}", "Trace") for number in order),
        connections=tuple(Connection(f"n{a}", f"n{b}") for a, b in edges),
    )
    starts = [item.id for item in manifest.input_nodes]
    sent = [str(number) for number in range(items)]
    runner = PipelineRunner(manifest, TRACED, queue_size=queue_size)
    given = asyncio.run(runner.run({start: [Text(text) for text in sent] for start in starts}))

    paths: dict[str, Counter[str]] = {f"n{n}": Counter() for n in range(count)}
    for start in starts:
        paths[start][start] += 1
    for number in range(count):
        for a, b in edges:
            if b == number:
                for path, times in paths[f"n{a}"].items():
                    paths[f"n{b}"][f"{path}>n{b}"] += times
    assert set(given) == {item.id for item in manifest.output_nodes}
    for output, results in given.items():
        by_path: dict[str, list[str]] = {}
        for text in texts(results):
            item, _, path = text.partition(">")
            by_path.setdefault(path, []).append(item)
        expected = {path: sorted(sent * times) for path, times in paths[output].items() if items}
        assert {path: sorted(got) for path, got in by_path.items()} == expected
        for path, times in paths[output].items():
            if times == 1 and items:
                assert by_path[path] == sent
    figures = runner.metrics()
    for number in range(count):
        assert figures[f"n{number}"].items_in == items * paths[f"n{number}"].total()
