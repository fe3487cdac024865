"""Breaking off another task's wait."""

from __future__ import annotations

import asyncio

import pytest

from rpe.transport.http.interrupting import Interrupted, Waits


async def wait_in(waits: Waits, seconds: float = 60.0) -> str:
    try:
        with waits.one():
            await asyncio.sleep(seconds)
    except Interrupted:
        return "interrupted"
    return "done"


async def started(*works: asyncio.Task[str]) -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_every_wait_is_broken_off_and_nobody_is_cancelled() -> None:
    waits = Waits()
    tasks = [asyncio.create_task(wait_in(waits)) for _ in range(3)]
    await started(*tasks)
    waits.interrupt()
    waits.interrupt()
    assert await asyncio.gather(*tasks) == ["interrupted"] * 3
    assert [task.cancelling() for task in tasks] == [0, 0, 0]


async def test_a_cancel_that_comes_at_the_same_time_wins() -> None:
    for cancel_first in (True, False):
        waits = Waits()
        task = asyncio.create_task(wait_in(waits))
        await started(task)
        for cancel in (cancel_first, not cancel_first):
            if cancel:
                task.cancel()
            else:
                waits.interrupt()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_timeout_around_it_still_times_out() -> None:
    waits = Waits()

    async def bounded() -> str:
        try:
            async with asyncio.timeout(0.01):
                return await wait_in(waits)
        except TimeoutError:
            return "late"

    assert await bounded() == "late"
    task = asyncio.create_task(bounded())
    await started(task)
    waits.interrupt()
    assert await task == "interrupted"


async def test_one_inside_another_is_broken_off_by_its_own() -> None:
    outer, inner = Waits(), Waits()

    async def nested() -> str:
        try:
            with outer.one():
                return "inner " + await wait_in(inner)
        except Interrupted:
            return "outer"

    for told, broken in (("inner interrupted", [inner]), ("outer", [outer]), ("outer", [inner, outer])):
        task = asyncio.create_task(nested())
        await started(task)
        for waits in broken:
            waits.interrupt()
        assert await task == told
        assert task.cancelling() == 0


async def test_what_is_over_and_the_running_task_itself_are_left_alone() -> None:
    waits = Waits()
    waits.interrupt()
    assert await wait_in(waits, 0) == "done"
    with waits.one():
        waits.interrupt()
        await asyncio.sleep(0)


async def test_errors_pass_through() -> None:
    with pytest.raises(ValueError, match="mine"), Waits().one():
        raise ValueError("mine")
