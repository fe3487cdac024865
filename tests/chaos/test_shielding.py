"""Work is brought to its end however often its caller is cancelled, and nothing is lost on the way."""

from __future__ import annotations

import asyncio

import pytest

from rpe.chaos.shielding import bring_to_end


async def test_the_result_and_the_error_come_through() -> None:
    async def give(value: int) -> int:
        await asyncio.sleep(0)
        return 10 // value

    assert await bring_to_end(give(2)) == 5
    with pytest.raises(ZeroDivisionError):
        await bring_to_end(give(0))


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancelled_caller_gets_its_cancellation_after_the_work_is_done(fails: bool) -> None:
    release, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await release.wait()
        done.set()
        if fails:
            raise ZeroDivisionError

    caller = asyncio.create_task(bring_to_end(work()))
    for _ in range(3):
        await asyncio.sleep(0.001)
        caller.cancel()
    await asyncio.sleep(0.001)
    assert not caller.done()
    release.set()
    with pytest.raises(asyncio.CancelledError) as caught:
        await caller
    assert done.is_set()
    assert isinstance(caught.value.__cause__, ZeroDivisionError) is fails
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_timeout_around_it_waits_for_the_work_and_is_still_a_timeout() -> None:
    done = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0.03)
        done.set()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.005):
            await bring_to_end(work())
    assert done.is_set()
