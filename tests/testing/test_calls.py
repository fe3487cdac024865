from __future__ import annotations

import asyncio

import pytest

from rpe.testing import CallQueue


async def test_what_came_is_taken_in_order_and_kept() -> None:
    queue: CallQueue[str] = CallQueue()
    for item in "abc":
        queue.append(item)
    assert [await queue.next(1), await queue.next(1)] == ["a", "b"]
    assert (queue.count, len(queue), queue.all) == (3, 3, ("a", "b", "c"))
    assert repr(queue) == "<CallQueue: 3 came, 1 not taken yet>"


async def test_what_has_not_come_yet_is_waited_for_by_several() -> None:
    queue: CallQueue[str] = CallQueue()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(queue.next(5)) for _ in range(2)]
        await asyncio.sleep(0)
        queue.append("a")
        queue.append("b")
    assert sorted(task.result() for task in waiting) == ["a", "b"]


async def test_nothing_comes_and_that_is_told_with_what_came_before() -> None:
    queue: CallQueue[str] = CallQueue()
    with pytest.raises(TimeoutError, match=r"nothing more came within 0.01 s; 0 came before$"):
        await queue.next(0.01)
    queue.append("first")
    await queue.next(1)
    with pytest.raises(TimeoutError, match=r"1 came before\n  first$"):
        await queue.next(0.01)


async def test_a_cancelled_wait_takes_nothing() -> None:
    queue: CallQueue[str] = CallQueue()
    waiting = asyncio.ensure_future(queue.next(5))
    await asyncio.sleep(0)
    queue.append("a")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await queue.next(1) == "a"


async def test_more_than_the_limit_are_counted_and_forgotten() -> None:
    queue: CallQueue[int] = CallQueue(limit=3)
    queue.append(0)
    assert await queue.next(1) == 0
    for number in range(1, 6):
        queue.append(number)
    assert (queue.count, queue.forgotten, queue.all) == (6, 3, (3, 4, 5))
    assert [await queue.next(1) for _ in range(3)] == [3, 4, 5]
    with pytest.raises(TimeoutError):
        await queue.next(0.01)
