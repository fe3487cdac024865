from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest

from rpe.data import Text
from rpe.manifest.model import Connection, Manifest, Node
from rpe.node import NodeCall, NodeMetrics, NodeRegistry, PipelineRunner, node
from rpe.node.builtin import BUILT_IN
from rpe.node.latencies import KEPT_LATENCIES
from rpe.node.metrics import Meter


class HandClock:
    """Goes forward only where a node sleeps."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now(self) -> float:
        return self.time_s

    async def sleep(self, delay_s: float) -> None:
        self.time_s += delay_s
        for _ in range(10):  # long enough for the others to fill their queues
            await asyncio.sleep(0)

    async def sleep_until(self, when_s: float) -> None:
        await self.sleep(when_s - self.time_s)

    def deadline(self, when_s: float | None) -> AbstractAsyncContextManager[object]:
        raise AssertionError("no node of these tests has a deadline")


@node("Slow", any_params=True)
async def slow(data: Text, call: NodeCall) -> Text:
    await call.clock.sleep(call.params["s"])
    return data


async def test_busy_time_and_latency_are_those_of_the_node_itself() -> None:
    registry = NodeRegistry([slow], entry_point_group=None)
    runner = PipelineRunner(Manifest.single("a", node_type="Slow", s=0.5), registry, clock=HandClock())
    await runner.run({"a": [Text("x")] * 4})
    await runner.run({"a": [Text("x")] * 2})
    figures = runner.metrics()["a"]
    assert (figures.items_in, figures.items_out, figures.errors) == (6, 6, 0)
    assert figures.busy_s == pytest.approx(3.0)
    assert figures.latency_s(50) == figures.latency_s(99) == pytest.approx(0.5)


async def test_waiting_for_room_is_no_work() -> None:
    registry = NodeRegistry([slow, *BUILT_IN], entry_point_group=None)
    manifest = Manifest(
        nodes=(Node("a", "Echo"), Node("b", "Slow", {"s": 1})), connections=(Connection("a", "b"),)
    )
    runner = PipelineRunner(manifest, registry, clock=HandClock(), queue_size=1)
    await runner.run({"a": [Text("x")] * 20})
    figures = runner.metrics()
    assert figures["b"].busy_s == pytest.approx(20)
    assert figures["a"].busy_s == 0


def test_percentiles_are_by_nearest_rank_over_the_last_items() -> None:
    meter = Meter()
    for number in range(KEPT_LATENCIES + 100):
        meter.item_took(float(number))
    figures = meter.snapshot()
    assert len(figures.latencies_s) == KEPT_LATENCIES
    assert figures.latency_s(100) == KEPT_LATENCIES + 99
    assert NodeMetrics(latencies_s=(3.0, 1.0, 2.0, 4.0)).latency_s(50) == 2.0
    assert NodeMetrics(latencies_s=(3.0, 1.0, 2.0, 4.0)).latency_s(76) == 4.0
    assert NodeMetrics().latency_s(50) is None
    with pytest.raises(ValueError, match="percentile"):
        figures.latency_s(0)
