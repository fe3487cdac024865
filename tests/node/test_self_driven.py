from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rpe.data import Control, Json, RuntimeData, Text
from rpe.data.control import BatchHint
from rpe.errors import ErrorKind
from rpe.manifest.model import Connection, Manifest, Node
from rpe.node import (
    Emit,
    NodeCall,
    NodeFailed,
    NodeRegistry,
    NodeType,
    Output,
    PipelineRunner,
    SelfDrivenNode,
)

RUNS: list[int] = []
CLOSED: list[str] = []


class Driver(SelfDrivenNode):
    """Echoes, and says "late" a while after each item; what it is told by an item it does."""

    def __init__(self, call: NodeCall) -> None:
        self._call = call

    async def run(self, items: AsyncIterator[RuntimeData], emit: Emit) -> None:
        RUNS.append(1)
        if self._call.params.get("fails_at_once"):
            raise RuntimeError("cannot begin")
        late: asyncio.Queue[None] = asyncio.Queue()

        async def speak() -> None:
            while True:
                await late.get()
                await emit(Text("late"))
                late.task_done()

        async with asyncio.TaskGroup() as group:
            speaking = group.create_task(speak())
            try:
                async for item in items:
                    assert isinstance(item, Text)
                    if item.text == "enough":
                        break
                    await self._take(item, emit)
                    late.put_nowait(None)
            except NodeFailed:
                if not self._call.params.get("hides"):
                    raise
            await late.join()
            speaking.cancel()

    async def _take(self, item: Text, emit: Emit) -> None:
        if item.text == "bad":
            raise RuntimeError("bad text")
        if item.text == "cancelled":
            raise asyncio.CancelledError
        if item.text == "deaf":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return
        await emit(item)

    async def close(self) -> None:
        CLOSED.append(self._call.node_id)


REGISTRY = NodeRegistry(entry_point_group=None)
REGISTRY.register(NodeType("Driver", Driver, takes=frozenset(["text"]), gives=frozenset(["text"])))


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    RUNS.clear()
    CLOSED.clear()


def pipeline(*, port: bool = False, **params: bool) -> PipelineRunner:
    nodes = [Node("in", "PassThrough"), Node("n", "Driver", params), Node("out", "PassThrough")]
    if port:
        nodes.append(Node("n.error", "ErrorPort"))
    links = (Connection("in", "n"), Connection("n", "out"))
    return PipelineRunner(Manifest(nodes=tuple(nodes), connections=links), REGISTRY)


def texts(items: list[RuntimeData]) -> list[str]:
    return [item.text for item in items if isinstance(item, Text)]


async def test_what_it_gives_leaves_at_once_and_not_with_the_next_item() -> None:
    async with asyncio.timeout(5), pipeline().stream() as stream:
        for word in ("a", "b"):
            await stream.send(Text(word))
            assert await anext(stream) == Output("out", Text(word))
            assert await anext(stream) == Output("out", Text("late"))
        await stream.finish()
        assert [output async for output in stream] == []
    assert (RUNS, CLOSED) == ([1], ["n"])


async def test_it_is_counted() -> None:
    runner = pipeline()
    await runner.run({"in": [Text("a"), Control(BatchHint(1)), Text("b")]})
    figures = runner.metrics()["n"]
    assert (figures.items_in, figures.items_out, figures.errors) == (2, 4, 0)
    assert (figures.latencies_s, figures.remote) == ((), None)


async def test_control_messages_pass_it_by() -> None:
    given = await pipeline().run({"in": [Control(BatchHint(1))]})
    assert given["out"] == [Control(BatchHint(1))]


@pytest.mark.parametrize("word", ["bad", "cancelled"])
async def test_its_failure_fails_the_run(word: str) -> None:
    with pytest.raises(NodeFailed) as caught:
        async with asyncio.timeout(5):
            await pipeline().run({"in": [Text("a"), Text(word), Text("b")]})
    assert caught.value.node == "n"
    assert CLOSED == ["n"]


@pytest.mark.parametrize("hides", [False, True])
async def test_data_of_the_wrong_kind_fails_it_whatever_it_does(hides: bool) -> None:
    with pytest.raises(NodeFailed, match="takes text, not json") as caught:
        await pipeline(hides=hides).run({"in": [Text("a"), Json(1), Text("b")]})
    assert (caught.value.node, caught.value.kind) == ("n", ErrorKind.DATA_VALIDATION)
    assert CLOSED == ["n"]


async def test_with_an_error_port_it_is_run_again_for_the_rest() -> None:
    runner = pipeline(port=True)
    words = ["a", "bad", "b", "cancelled", "c"]
    given = await runner.run({"in": [Text(word) for word in words] + [Json(1), Text("d")]})
    assert [word for word in texts(given["out"]) if word != "late"] == ["a", "b", "c", "d"]
    assert [item.value["data_kind"] for item in given["n.error"]] == [None, None, "json"]  # type: ignore[union-attr]
    assert len(RUNS) == 3
    assert runner.metrics()["n"].errors == 3


async def test_one_that_takes_nothing_loses_an_item_with_each_failure() -> None:
    runner = pipeline(port=True, fails_at_once=True)
    async with asyncio.timeout(5):
        given = await runner.run({"in": [Text("a"), Text("b")]})
    assert [item.value["data_kind"] for item in given["n.error"]][:2] == ["text", "text"]  # type: ignore[union-attr]
    assert len(RUNS) <= 3


async def test_one_that_has_had_enough_holds_nobody_up() -> None:
    async with asyncio.timeout(5):
        given = await pipeline().run({"in": [Text("a"), Text("enough"), *(Text("x") for _ in range(100))]})
    assert [word for word in texts(given["out"]) if word != "late"] == ["a"]


async def test_a_cancellation_ends_it_also_where_it_does_not_listen() -> None:
    running = asyncio.create_task(pipeline().run({"in": [Text("deaf"), Text("b")]}))
    for _ in range(50):
        await asyncio.sleep(0)
    assert RUNS
    running.cancel()
    await asyncio.wait([running], timeout=5)
    assert running.cancelled()
    assert CLOSED == ["n"]
