from __future__ import annotations

import asyncio

import pytest

from rpe.node.channel import Channel


async def test_it_does_not_end_before_a_put_that_waits_is_in() -> None:
    channel = Channel[int](1, writers=1)
    await channel.put(1)
    late = asyncio.create_task(channel.put(2))
    await asyncio.sleep(0)
    channel.end()
    assert await channel.get() == 1
    # The put was woken but has not run yet: a reader that looks again at once must wait for it.
    assert await channel.get() == 2
    assert await channel.get() is None
    await late


async def test_it_ends_when_a_put_that_waited_is_given_up() -> None:
    channel = Channel[int](1, writers=1)
    await channel.put(1)
    late = asyncio.create_task(channel.put(2))
    await asyncio.sleep(0)
    channel.end()
    assert await channel.get() == 1
    reading = asyncio.create_task(channel.get())
    late.cancel()
    async with asyncio.timeout(5):
        assert await reading is None
    assert late.cancelled()


async def test_it_ends_after_the_last_of_its_writers() -> None:
    channel = Channel[int](1, writers=2)
    channel.end()
    reading = asyncio.create_task(channel.get())
    await asyncio.sleep(0)
    assert not reading.done()
    channel.end()
    assert await reading is None


async def test_a_cancelled_reader_takes_no_item_with_it() -> None:
    channel = Channel[int](1, writers=1)
    reading = asyncio.create_task(channel.get())
    await asyncio.sleep(0)
    assert channel.offer(1)
    reading.cancel()
    await asyncio.wait([reading])
    assert len(channel) == 1
    assert await channel.get() == 1


async def test_the_first_failure_stays_and_what_is_in_comes_first() -> None:
    channel = Channel[int](2, writers=1)
    await channel.put(1)
    channel.fail(KeyError("first"))
    channel.fail(ValueError("second"))
    with pytest.raises(KeyError):
        await channel.put(2)
    assert await channel.get() == 1
    with pytest.raises(KeyError):
        await channel.get()
