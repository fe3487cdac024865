from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rpe.data import RuntimeData, Text
from rpe.errors import ConfigurationError, RpeError, SessionClosed
from rpe.manifest.model import Manifest, Node
from rpe.node import Emit, NodeCall, NodeFailed, NodeRegistry, NodeType, PipelineNode, PipelineRunner

LOG: list[str] = []
REACHED: list[asyncio.Event] = []


class Tells(PipelineNode):
    """Gives what it shares in the place of its input."""

    def __init__(self, call: NodeCall) -> None:
        self._call = call

    async def process(self, data: RuntimeData, emit: Emit) -> None:
        assert isinstance(data, Text)
        if data.text == "bad":
            raise RuntimeError("bad")
        await emit(Text(str(self._call.shared), language=str(self._call.context.hops)))


@asynccontextmanager
async def resource(call: NodeCall) -> AsyncIterator[str]:
    how: str = call.params.get("how", "")
    LOG.append(f"open {call.node_id}")
    if how == "fails":
        raise OSError("no room, token=s3cret")
    if how == "refuses":
        raise ConfigurationError("not like this")
    if how == "waits":
        REACHED[0].set()
        await asyncio.sleep(60)
    # A context of one task only: it would complain where another task left it.
    async with asyncio.TaskGroup() as group:
        task = group.create_task(asyncio.sleep(60))
        try:
            yield f"of {call.node_id}"
        finally:
            task.cancel()
            if how == "closes slowly":
                await asyncio.sleep(0.1)
            LOG.append(f"close {call.node_id}")
            if how == "closes badly":
                raise OSError("stuck")


REGISTRY = NodeRegistry([NodeType("Tells", Tells, open=resource)], entry_point_group=None)


def runner(**how: str) -> PipelineRunner:
    nodes = tuple(Node(node_id, "Tells", {"how": told} if told else {}) for node_id, told in how.items())
    return PipelineRunner(Manifest(nodes=nodes), REGISTRY)


@pytest.fixture(autouse=True)
def nothing_logged() -> None:
    LOG.clear()
    REACHED[:] = [asyncio.Event()]


async def told(pipeline: PipelineRunner, **options: Any) -> str:
    (item,) = (await pipeline.run({"a": Text("x")}, **options))["a"]
    assert isinstance(item, Text)
    return f"{item.text} at {item.language}"


async def test_an_open_runner_opens_once_for_all_runs() -> None:
    async with runner(a="", b="") as pipeline:
        assert LOG == ["open a", "open b"]
        assert await told(pipeline) == "of a at 0"
        assert await told(pipeline) == "of a at 0"
        assert LOG == ["open a", "open b"]
    assert LOG == ["open a", "open b", "close b", "close a"]


async def test_without_it_each_run_opens_its_own() -> None:
    pipeline = runner(a="")
    await told(pipeline)
    with pytest.raises(NodeFailed):
        await pipeline.run({"a": Text("bad")})
    assert LOG == ["open a", "close a"] * 2


async def test_a_runner_may_be_opened_again_but_not_twice_at_once() -> None:
    pipeline = runner(a="")
    for _ in range(2):
        async with pipeline:
            with pytest.raises(ConfigurationError, match="open already"):
                await pipeline.__aenter__()
            await told(pipeline)
    assert LOG == ["open a", "close a"] * 2


@pytest.mark.parametrize(("how", "kind"), [("fails", NodeFailed), ("refuses", ConfigurationError)])
async def test_where_the_third_of_five_fails_the_first_two_are_closed(how: str, kind: type[RpeError]) -> None:
    pipeline = runner(a="", b="", c=how, d="", e="")
    with pytest.raises(kind) as caught:
        async with pipeline:
            raise AssertionError("it is not open")
    assert LOG == ["open a", "open b", "open c", "close b", "close a"]
    assert caught.value.node == "c"
    assert "s3cret" not in str(caught.value)
    LOG.clear()
    with pytest.raises(kind):
        await pipeline.run({"a": Text("x")})
    assert LOG == ["open a", "open b", "open c", "close b", "close a"]


@pytest.mark.parametrize("entered", [True, False])
async def test_a_cancellation_while_the_third_opens_closes_the_first_two(entered: bool) -> None:
    pipeline = runner(a="", b="closes slowly", c="waits")
    opening: asyncio.Task[Any] = asyncio.create_task(pipeline.__aenter__() if entered else told(pipeline))
    await REACHED[0].wait()
    opening.cancel()
    await asyncio.wait([opening])
    assert opening.cancelled()
    assert LOG == ["open a", "open b", "open c", "close b", "close a"]


async def test_a_cancellation_while_closing_leaves_nothing_open() -> None:
    pipeline = runner(a="", b="closes slowly")

    async def use() -> None:
        async with pipeline:
            pass

    using = asyncio.create_task(use())
    await asyncio.sleep(0.02)
    assert LOG == ["open a", "open b"]
    using.cancel()
    await asyncio.wait([using])
    assert using.cancelled()
    assert LOG[-2:] == ["close b", "close a"]


async def test_a_resource_that_closes_badly_is_told_and_the_others_are_closed() -> None:
    with pytest.raises((OSError, ExceptionGroup)):
        async with runner(a="", b="closes badly"):
            pass
    assert LOG[-2:] == ["close b", "close a"]


async def test_the_context_of_the_run_reaches_the_nodes() -> None:
    from rpe.node import RunContext

    assert await told(runner(a=""), context=RunContext(hops=3)) == "of a at 3"
    stream = runner(a="").stream(context=RunContext(hops=4))
    async with stream:
        await stream.send(Text("x"))
        assert (await anext(stream)).data == Text("of a", language="4")
        await stream.finish()
        with pytest.raises(SessionClosed, match="entered once"):
            await stream.__aenter__()
