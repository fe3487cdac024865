"""Cancelled at every wait: what runs is cancelled, a probe frees its lease, nobody is blamed."""

from __future__ import annotations

import asyncio

import pytest

from tests.client.fallback.scripted_steps import Bench, until


async def cancelled_in(bench: Bench, number: int) -> None:
    """Cancel an operation while it waits for a step."""
    step = bench.steps[number]
    step.gate = asyncio.Event()
    task = asyncio.create_task(bench.execute())
    await until(lambda: bool(step.calls))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert step.cancelled == 1
    step.gate = None


@pytest.mark.parametrize("step", [0, 1, 2])
async def test_cancelling_cancels_the_step_that_is_tried_and_no_other_one_follows(step: int) -> None:
    bench = Bench(3)
    bench.fail(*"abc"[:step])
    await cancelled_in(bench, step)
    assert sum(bench.calls().values()) == step + 1
    statistics = bench.chain.statistics()
    assert statistics.cancelled == 1
    assert statistics.steps["abc"[step]].falls == 0
    bench.fail()
    assert (await bench.execute()).step == "a"


async def test_a_hundred_cancelled_operations_take_no_step_down() -> None:
    bench = Bench(2)
    bench.steps[0].gate = asyncio.Event()
    tasks = [asyncio.create_task(bench.execute()) for _ in range(100)]
    await until(lambda: len(bench.steps[0].calls) == 100)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert bench.state("a") == "up"
    assert bench.calls()["b"] == 0


async def test_a_cancelled_probe_frees_its_lease_and_the_next_operation_probes() -> None:
    bench = Bench(2)
    bench.fail("a")
    for _ in range(3):
        await bench.execute()
    bench.fail()
    bench.clock.time_s += 5.0
    bench.steps[0].gate = asyncio.Event()
    probe = asyncio.create_task(bench.execute())
    await until(lambda: len(bench.steps[0].calls) == 4)
    assert (await bench.execute()).step == "b", "a second probe beside the first"
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    bench.steps[0].gate = None
    assert (await bench.execute()).step == "a"


async def test_concurrent_operations_send_one_probe_and_all_get_an_answer() -> None:
    bench = Bench(2)
    bench.fail("a")
    for _ in range(3):
        await bench.execute()
    bench.clock.time_s += 5.0
    bench.steps[0].gate = asyncio.Event()
    running = [asyncio.create_task(bench.execute()) for _ in range(50)]
    for _ in range(5):
        await asyncio.sleep(0)
    bench.steps[0].gate.set()
    outcomes = await asyncio.gather(*running)
    assert {outcome.step for outcome in outcomes} == {"b"}
    assert bench.calls()["a"] == 4
