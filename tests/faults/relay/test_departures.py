"""Datagrams that wait: in the order of their times, and among equal times in the order they came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rpe.faults.relay.departures import Departures


class Sent(list[int]):
    """What has left, by number."""

    def put(self, number: int) -> Callable[[], None]:
        return lambda: self.append(number)


async def test_equal_times_leave_first_in_first_out() -> None:
    loop, sent = asyncio.get_running_loop(), Sent()
    departures = Departures(loop)
    at_s = loop.time() + 0.01
    for number in range(50):
        departures.put(at_s, sent.put(number))
    await asyncio.sleep(0.02)
    assert sent == list(range(50))
    assert len(departures) == 0


async def test_an_earlier_one_overtakes_and_the_timer_follows_it() -> None:
    loop, sent = asyncio.get_running_loop(), Sent()
    departures = Departures(loop)
    departures.put(loop.time() + 30, sent.put(2))
    departures.put(loop.time() + 0.005, sent.put(1))
    departures.put(loop.time(), sent.put(0))
    assert sent == [0]
    await asyncio.sleep(0.02)
    assert sent == [0, 1]
    departures.close()


async def test_what_is_due_leaves_before_what_comes_after_it() -> None:
    loop, sent = asyncio.get_running_loop(), Sent()
    departures = Departures(loop)
    due_s = loop.time() + 0.001
    departures.put(due_s, sent.put(0))
    while loop.time() <= due_s:  # the loop is held up, so the timer has not run yet
        pass
    departures.put(loop.time(), sent.put(1))
    assert sent == [0, 1]


async def test_flushing_sends_all_in_order_and_closing_sends_nothing() -> None:
    loop, sent = asyncio.get_running_loop(), Sent()
    departures = Departures(loop)
    for number in (3, 1, 2):
        departures.put(loop.time() + number * 30, sent.put(number))
    departures.flush()
    assert sent == [1, 2, 3]
    departures.put(loop.time() + 0.001, sent.put(4))
    departures.close()
    await asyncio.sleep(0.01)
    assert sent == [1, 2, 3]
