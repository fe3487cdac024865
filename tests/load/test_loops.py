"""A closed loop on a clock that its test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import islice, repeat

import pytest

from rpe.load.loops import Loop
from rpe.load.schedules import Pauses
from rpe.testing.clock import ManualClock


class Work:
    """Work that takes `takes_s`, and notes when it was due and when it began."""

    def __init__(self, clock: ManualClock, takes_s: float) -> None:
        self.clock = clock
        self.takes_s = takes_s
        self.due_s: list[float] = []
        self.began_s: list[float] = []
        self.running = self.most = self.cancelled = 0

    async def __call__(self, due_s: float) -> None:
        self.due_s.append(due_s)
        self.began_s.append(self.clock.now())
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.takes_s:
                await self.clock.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1


def looping(pauses_s: Iterable[float], takes_s: float) -> tuple[ManualClock, Work, Loop]:
    clock = ManualClock(100.0)
    work = Work(clock, takes_s)
    return clock, work, Loop(pauses_s, work, clock=clock)


@pytest.mark.parametrize(
    ("pauses_s", "due_s"),
    [((0.0, 0.0, 0.0), [100.0, 102.0, 104.0]), ((1.0, 0.5, 3.0), [100.0, 103.0, 105.5])],
)
async def test_work_is_due_a_pause_after_the_last_has_ended(
    pauses_s: tuple[float, ...], due_s: list[float]
) -> None:
    clock, work, loop = looping(pauses_s, 2.0)
    assert (await clock.run(loop.run())).started == 3
    assert work.due_s == work.began_s == due_s
    assert work.most == 1


async def test_a_loop_that_is_halted_waits_for_its_work() -> None:
    clock, work, loop = looping(repeat(1.0), 2.0)
    running = asyncio.create_task(loop.run())
    await clock.advance(4.0)
    loop.halt()
    await clock.advance(0.9)
    assert (running.done(), work.running) == (False, 1)
    await clock.advance(0.1)
    assert (running.done(), work.due_s) == (True, [100.0, 103.0])


async def test_a_loop_that_is_halted_does_not_wait_for_the_end_of_its_pause() -> None:
    clock, work, loop = looping(repeat(60.0), 2.0)
    running = asyncio.create_task(loop.run())
    await clock.advance(3.0)
    loop.halt()
    await clock.advance(0.0)
    assert running.done()
    assert work.due_s == [100.0]
    assert clock.sleepers == 0


async def test_a_loop_that_is_halted_before_it_runs_does_nothing() -> None:
    _, work, loop = looping(repeat(0.0), 0.0)
    loop.halt()
    assert (await loop.run()).started == 0
    assert work.due_s == []


@pytest.mark.parametrize("at_s", [1.0, 2.5])
async def test_a_loop_that_is_cancelled_leaves_nothing_behind(at_s: float) -> None:
    clock, work, loop = looping(repeat(1.0), 2.0)
    running = asyncio.create_task(loop.run())
    await clock.advance(at_s)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (work.cancelled, work.running) == (int(at_s < 2.0), 0)
    assert clock.sleepers == 0


async def test_work_that_never_waits_lets_others_have_their_turn() -> None:
    _, work, loop = looping(islice(repeat(0.0), 100_000), 0.0)
    running = asyncio.create_task(loop.run())
    for _ in range(3):
        await asyncio.sleep(0)
    loop.halt()
    assert 0 < (await running).started < 1000
    assert len(work.due_s) == loop.tally.started


async def test_work_that_fails_ends_the_loop() -> None:
    async def fail(_: float) -> None:
        raise LookupError("no such thing")

    with pytest.raises(LookupError):
        await Loop(repeat(0.0), fail, clock=ManualClock()).run()


def test_pauses_are_drawn_between_their_bounds_and_are_the_same_for_the_same_seed() -> None:
    one, same, other = (list(islice(Pauses((0.5, 2.0), seed).each_s(), 200)) for seed in "aab")
    assert one == same != other
    assert 0.5 <= min(one) < 0.7 < 1.8 < max(one) <= 2.0
    assert list(islice(Pauses(0.25).each_s(), 3)) == [0.25] * 3
    assert list(islice(Pauses().each_s(), 3)) == [0.0] * 3


@pytest.mark.parametrize(
    ("wait_s", "told"),
    [
        (-1.0, "from 0 on"),
        (float("inf"), "from 0 on"),
        (float("nan"), "from 0 on"),
        ((2.0, 1.0), "from 0 on"),
        ((1.0, 2.0, 3.0), "the least and the most"),
    ],
)
def test_pauses_that_cannot_be_are_refused(wait_s: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Pauses(wait_s)  # type: ignore[arg-type]
