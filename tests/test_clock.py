"""Clocks: one that runs faster, and one that a test holds in its hands."""

from __future__ import annotations

import asyncio
import math
import time

import pytest

from rpe.clock import SYSTEM_CLOCK, Clock, ScaledClock, speed_of
from rpe.errors import ConfigurationError
from rpe.testing.clock import ManualClock


async def test_a_scaled_clock_is_another_one_at_a_speed() -> None:
    base = ManualClock(1000.0)
    fast: Clock = ScaledClock(10, base)
    assert fast.now() == 1000.0

    async def work() -> tuple[float, float]:
        await fast.sleep(5)
        await fast.sleep_until(1020.0)
        await fast.sleep_until(1.0)
        return base.now(), fast.now()

    assert await base.run(work()) == (1002.0, 1020.0)


async def test_a_deadline_is_a_moment_of_the_scaled_clock() -> None:
    base = ManualClock()
    fast = ScaledClock(4, base)

    async def work() -> float:
        async with fast.deadline(None):
            await fast.sleep(1)
        with pytest.raises(TimeoutError):
            async with fast.deadline(9.0):
                await base.sleep(60)
        return base.now()

    assert await base.run(work()) == 2.25


async def test_it_is_real_time_divided() -> None:
    fast = ScaledClock(100)
    began_s, theirs_s = time.monotonic(), fast.now()
    await fast.sleep(2)
    assert 0.02 <= time.monotonic() - began_s < 1
    assert fast.now() - theirs_s >= 2


@pytest.mark.parametrize("speed", [0, -1, math.inf, math.nan])
def test_a_speed_is_above_zero(speed: float) -> None:
    with pytest.raises(ConfigurationError, match="a speed above 0"):
        ScaledClock(speed)


def test_speeds_multiply() -> None:
    assert speed_of(SYSTEM_CLOCK) == speed_of(ManualClock()) == 1
    assert speed_of(ScaledClock(5, ScaledClock(2))) == 10


async def test_sleepers_wake_in_the_order_of_their_times() -> None:
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *delays_s: float) -> None:
        for delay_s in delays_s:
            await clock.sleep(delay_s)
            woken.append((name, clock.now()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("a", 3.0, 1.0))
        group.create_task(sleeper("b", 1.0, 2.0))
        group.create_task(sleeper("c", 0.0, 3.5))
        await clock.advance(2.9)
        assert woken == [("c", 0.0), ("b", 1.0)]
        assert (clock.now(), clock.sleepers) == (2.9, 3)
        await clock.advance(1.1)
    assert woken[2:] == [("a", 3.0), ("b", 3.0), ("c", 3.5), ("a", 4.0)]


async def test_between_two_times_everything_happens_that_can() -> None:
    clock = ManualClock()
    queue: asyncio.Queue[float] = asyncio.Queue(1)
    lags: list[float] = []

    async def feed() -> None:
        for _ in range(50):
            await clock.sleep(0.02)
            await queue.put(clock.now())

    async def eat() -> None:
        for _ in range(50):
            sent_s = await queue.get()
            for _ in range(7):
                await asyncio.sleep(0)
            lags.append(clock.now() - sent_s)

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(feed())
            group.create_task(eat())

    await clock.run(both())
    assert lags == [0.0] * 50


async def test_deadlines_by_hand() -> None:
    clock = ManualClock()

    async def work() -> str:
        async with clock.deadline(5.0), clock.deadline(None):
            await clock.sleep(4.0)
        try:
            async with clock.deadline(clock.now() - 1):
                await clock.sleep(2.0)
        except TimeoutError:
            return f"late at {clock.now()}"
        return "in time"

    assert await clock.run(work()) == "late at 4.0"
    await clock.advance(10)
    assert clock.sleepers == 0


async def test_work_that_no_time_helps_is_told_and_cancelled() -> None:
    clock = ManualClock()
    ended: list[str] = []

    async def work(delay_s: float) -> None:
        try:
            await clock.sleep(delay_s)
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("ended")

    with pytest.raises(RuntimeError, match="nobody sleeps by this clock"):
        await clock.run(work(1.0))
    with pytest.raises(TimeoutError, match="not done after 10 s"):
        await clock.run(work(100.0), limit_s=10)
    assert ended == ["ended"] * 2
    assert await clock.run(asyncio.sleep(0, "done")) == "done"


async def test_only_one_moves_the_time() -> None:
    clock = ManualClock()

    async def work() -> None:
        await clock.sleep(1)
        await clock.advance(1)

    with pytest.raises(RuntimeError, match="somebody moves the time"):
        await clock.run(work())


def test_on_a_loop_that_does_not_tell_what_it_has_ready() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def played() -> list[tuple[str, float]]:
        clock = ManualClock()
        queue: asyncio.Queue[str] = asyncio.Queue(1)
        heard: list[tuple[str, float]] = []

        async def say(name: str, delay_s: float) -> None:
            await clock.sleep(delay_s)
            await queue.put(name)

        async def listen() -> None:
            for _ in range(3):
                heard.append((await queue.get(), clock.now()))

        async def all_of_it() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(listen())
                for delay_s, name in enumerate("abc"):
                    group.create_task(say(name, 10 - delay_s))

        await clock.run(all_of_it())
        return heard

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(played()) == [("c", 8.0), ("b", 9.0), ("a", 10.0)]
