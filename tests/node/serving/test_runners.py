from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from rpe.errors import ManifestInvalid
from rpe.manifest.model import Manifest
from rpe.node import NodeCall, NodeType, Params, PipelineNode, PipelineRunner, text
from rpe.node.serving.runners import Runners
from tests.support.served import registry


class Shop:
    """Node types whose resource is written down when it opens and closes, and can be held up."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.refuse = False
        kind = NodeType(
            "Shared", lambda call: PipelineNode(), open=self._open, params=Params(text("name", "x"))
        )
        self._registry = registry(kind)

    @asynccontextmanager
    async def _open(self, call: NodeCall) -> AsyncIterator[None]:
        name = call.params["name"]
        await self.gate.wait()
        if self.refuse:
            raise ManifestInvalid("not now")
        self.log.append(f"open {name}")
        yield
        self.log.append(f"close {name}")

    def make(self, manifest: Manifest) -> PipelineRunner:
        return PipelineRunner(manifest, self._registry)


def pipeline(name: str) -> Manifest:
    return Manifest.single("node", node_type="Shared", name=name)


async def use(runners: Runners, name: str) -> PipelineRunner:
    async with runners.use(pipeline(name)) as runner:
        return runner


async def test_a_pipeline_stays_open_from_call_to_call_whatever_it_is_called() -> None:
    shop = Shop()
    runners = Runners(shop.make, 2)
    first = await use(runners, "a")
    async with runners.use(replace(pipeline("a"), name="renamed", description="the same")) as second:
        assert second is first
    assert await use(runners, "b") is not first
    assert shop.log == ["open a", "open b"]
    await runners.close()
    assert sorted(shop.log[2:]) == ["close a", "close b"]
    assert len(runners) == 0


async def test_the_one_unused_for_the_longest_time_goes_first() -> None:
    shop = Shop()
    runners = Runners(shop.make, 2)
    for name in ("a", "b", "a", "c"):
        await use(runners, name)
    await asyncio.sleep(0.01)
    assert shop.log == ["open a", "open b", "open c", "close b"]
    await runners.close()


async def test_one_in_use_stays_until_it_is_free() -> None:
    shop = Shop()
    runners = Runners(shop.make, 1)
    async with AsyncExitStack() as stack:
        for name in ("a", "b"):
            await stack.enter_async_context(runners.use(pipeline(name)))
        await use(runners, "c")
        assert shop.log[:3] == ["open a", "open b", "open c"]
        await asyncio.sleep(0.01)
        assert shop.log[3:] == ["close c"]  # nobody uses it
    await asyncio.sleep(0.01)
    assert shop.log[4:] == ["close b"] and len(runners) == 1
    await runners.close()


async def test_calls_that_come_while_it_opens_share_it() -> None:
    shop = Shop()
    shop.gate.clear()
    runners = Runners(shop.make, 2)
    waiting = [asyncio.create_task(use(runners, "a")) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0.01)
    shop.gate.set()
    given = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(given[0], asyncio.CancelledError)
    assert given[1] is given[2] and isinstance(given[1], PipelineRunner)
    assert shop.log == ["open a"]
    await runners.close()


async def test_what_could_not_be_opened_is_tried_again() -> None:
    shop = Shop()
    shop.refuse = True
    runners = Runners(shop.make, 2)
    with pytest.raises(ManifestInvalid):
        await use(runners, "a")
    with pytest.raises(ManifestInvalid):
        async with runners.use(Manifest.single("node", node_type="NoSuchType")):
            pass
    assert len(runners) == 0
    shop.refuse = False
    await use(runners, "a")
    assert shop.log == ["open a"]
    await runners.close()


async def test_a_cancelled_close_closes_all_the_same() -> None:
    shop = Shop()
    runners = Runners(shop.make, 4)
    for name in ("a", "b"):
        await use(runners, name)
    task = asyncio.create_task(runners.close())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(shop.log[2:]) == ["close a", "close b"]
