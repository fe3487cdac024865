"""A toxic's place in a chain: its one timer, and what cutting it off means."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any, cast

from rpe.faults.proxy.link import Link
from rpe.faults.proxy.pipe import Pipe
from rpe.faults.proxy.stage import Stage
from rpe.faults.proxy.stats import ToxicStats
from rpe.faults.proxy.toxic import Kind, Toxic

if TYPE_CHECKING:
    from tests.faults.proxy.conftest import Run


class Alarm(Stage[None]):
    """Notes when it is woken."""

    def __init__(self, settings: None, port: Any) -> None:
        super().__init__(settings, port)
        self.woken_at: list[float] = []
        self.woken = asyncio.Event()

    def wake(self) -> None:
        self.woken_at.append(self.port.now())
        self.woken.set()


def link() -> tuple[Link, Alarm]:
    kind = Kind("alarm", None, Alarm)
    toxic = Toxic("t", kind, "upstream", 1.0, None)
    made = Link(toxic, cast(Pipe, None), Random(1), ToxicStats("alarm", "upstream"))
    return made, cast(Alarm, made.stage)


def test_a_later_request_to_be_woken_takes_the_place_of_an_earlier_one(run: Run) -> None:
    async def work() -> None:
        port, alarm = link()
        began_s = port.now()
        port.wake_at(began_s + 0.01)
        port.wake_at(began_s + 0.05)
        await asyncio.sleep(0.08)
        assert len(alarm.woken_at) == 1
        assert alarm.woken_at[0] >= began_s + 0.05

    run(work())


def test_a_stage_is_never_woken_early(run: Run) -> None:
    async def work() -> None:
        port, alarm = link()
        for number in range(20):
            due_s = port.now() + 0.0017 + number * 0.00013
            port.wake_at(due_s)
            await alarm.woken.wait()
            alarm.woken.clear()
            assert alarm.woken_at.pop() >= due_s

    run(work())


def test_nothing_wakes_a_stage_whose_link_is_cut_off(run: Run) -> None:
    async def work() -> None:
        port, alarm = link()
        for how in (port.cancel_wake, port.sever):
            port.wake_at(port.now() + 0.01)
            how()
        port.wake_at(float("inf"))
        await asyncio.sleep(0.03)
        assert alarm.woken_at == []

    run(work())
