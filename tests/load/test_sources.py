"""A source on a clock that stands still until it is told to go on."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from itertools import takewhile

import pytest

from rpe.load.arrivals import Steady, constant
from rpe.load.schedules import Schedule
from rpe.load.sources import Source


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time_s = 100.0
        self._moved = asyncio.Event()

    def now(self) -> float:
        return self.time_s

    async def sleep(self, delay_s: float) -> None:
        await self.sleep_until(self.time_s + delay_s)

    async def sleep_until(self, when_s: float) -> None:
        await asyncio.sleep(0)
        while self.time_s < when_s:
            await self._moved.wait()

    def deadline(self, when_s: float | None) -> AbstractAsyncContextManager[object]:
        raise NotImplementedError

    async def move(self, by_s: float) -> None:
        self.time_s += by_s
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        for _ in range(50):
            await asyncio.sleep(0)


class Work:
    """Work that is done when it is let go."""

    def __init__(self) -> None:
        self.due_s: list[float] = []
        self.missed_s: list[float] = []
        self.running = 0
        self.cancelled = 0
        self.go = asyncio.Event()

    async def __call__(self, due_s: float) -> None:
        self.due_s.append(due_s)
        self.running += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1


def source(
    clock: Hand, work: Work, *, rate_per_s: float = 10.0, until_s: float = 1.0, most: int = 100
) -> Source:
    due_s = (100.0 + after_s for after_s in takewhile(lambda at: at < until_s, constant(Steady(rate_per_s))))
    return Source(due_s, work, work.missed_s.append, max_in_flight=most, clock=clock)


async def test_work_starts_when_it_is_due_and_not_when_the_last_is_done() -> None:
    clock, work = Hand(), Work()
    running = asyncio.create_task(source(clock, work).run())
    await clock.move(0.0)
    assert work.due_s == [100.0]
    await clock.move(0.25)
    assert work.due_s == pytest.approx([100.0, 100.1, 100.2])
    assert work.running == 3
    await clock.move(1.0)
    assert not running.done()
    work.go.set()
    assert (await running).started == 10


async def test_a_source_that_was_held_up_loses_no_arrival_and_says_how_late_it_was() -> None:
    clock, work = Hand(), Work()
    running = asyncio.create_task(source(clock, work, rate_per_s=100.0, most=1000).run())
    await clock.move(0.0)
    await clock.move(5.0)
    work.go.set()
    tally = await running
    assert (tally.started, tally.missed) == (100, 0)
    assert work.due_s == pytest.approx([100.0 + number / 100 for number in range(100)])
    assert tally.latest_s == pytest.approx(5.0 - 0.01)


async def test_what_would_be_too_much_at_once_is_missed_and_later_work_is_not() -> None:
    clock, work = Hand(), Work()
    running = asyncio.create_task(source(clock, work, most=2).run())
    await clock.move(0.0)
    await clock.move(0.45)
    assert work.missed_s == pytest.approx([100.2, 100.3, 100.4])
    work.go.set()
    for _ in range(6):
        await clock.move(0.1)
    tally = await running
    assert (tally.started, tally.missed) == (7, 3)


async def test_what_ended_while_the_loop_was_held_up_makes_room() -> None:
    clock, work = Hand(), Work()
    running = asyncio.create_task(source(clock, work, until_s=0.3, most=2).run())
    await clock.move(0.0)
    await clock.move(0.1)
    work.go.set()
    clock.time_s += 1.0  # before anyone has had a turn
    await clock.move(0.0)
    assert (await running).missed == 0


async def test_a_source_that_is_halted_waits_for_what_runs() -> None:
    clock, work = Hand(), Work()
    made = source(clock, work)
    running = asyncio.create_task(made.run())
    await clock.move(0.0)
    made.halt()
    await clock.move(5.0)
    assert work.due_s == [100.0]
    assert not running.done()
    work.go.set()
    assert (await running).started == 1


async def test_a_source_that_is_halted_before_it_runs_starts_nothing() -> None:
    clock, work = Hand(), Work()
    made = source(clock, work)
    made.halt()
    assert (await made.run()).started == 0


async def test_a_source_that_is_cancelled_leaves_nothing_behind() -> None:
    clock, work = Hand(), Work()
    running = asyncio.create_task(source(clock, work).run())
    await clock.move(0.0)
    await clock.move(0.15)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (work.running, work.cancelled) == (0, 2)


def test_a_schedule_counts_from_the_start_it_is_given() -> None:
    schedule = Schedule(rate_per_s=2.0, start_s=1.0, stop_s=3.0)
    assert list(schedule.due_s(50.0)) == [51.0, 51.5, 52.0, 52.5]
    ramped = Schedule(ramp=(0.0, 4.0, 2.0), stop_s=2.0)
    assert list(ramped.due_s(0.0)) == pytest.approx([0.0, 1.0, 2**0.5, 3**0.5])


def test_two_seeds_are_two_users() -> None:
    one, same, other = (
        list(Schedule(arrivals="poisson", rate_per_s=20.0, stop_s=1.0, seed=seed).due_s(0.0))
        for seed in "aab"
    )
    assert one == same != other


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"arrivals": "sometimes"}, "sometimes"),
        ({"rate_per_s": 0.0}, "rate"),
        ({"ramp": (1.0, 2.0)}, "three numbers"),
        ({"ramp": (1.0, 2.0, 0.0)}, "ramp"),
        ({"start_s": -1.0}, "start"),
        ({"start_s": 2.0, "stop_s": 2.0}, "stop"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(given: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Schedule(**given)  # type: ignore[arg-type]
