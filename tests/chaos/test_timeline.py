"""The timeline: absolute and relative times, edges as they really happen, and no fault left at its end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rpe.chaos.guards import ScriptedFault
from rpe.chaos.timeline import Beginning, Entry, Timeline
from rpe.clock import SYSTEM_CLOCK
from rpe.faults.actions import CutLink, Step
from tests.support.chaos import Events, RecordingWorld


def fault(name: str) -> ScriptedFault:
    return ScriptedFault(name, "down", ("a",), (Step(0, "0", CutLink("a")),))


class Stage:
    """A timeline of entries in a recording world, and the times of its events."""

    def __init__(self, *entries: Entry, duration_s: float = 0.2) -> None:
        self.world = RecordingWorld()
        self.events = Events()
        self.at_s: dict[tuple[str, str], float] = {}
        origin_s = SYSTEM_CLOCK.now()

        def record(event: str, **fields: Any) -> None:
            self.events(event, **fields)
            name = str(fields.get("window") or fields.get("fault"))
            self.at_s[event, name] = SYSTEM_CLOCK.now() - origin_s

        self.timeline = Timeline(
            entries,
            duration_s=duration_s,
            world=self.world,
            record=record,
            clock=SYSTEM_CLOCK,
            origin_s=origin_s,
        )

    async def play(self) -> None:
        await self.timeline.play()
        assert self.world.active() == ()
        assert self.timeline.active == {}
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_fault_is_a_window_that_is_open_while_it_is_in_force() -> None:
    stage = Stage(Entry("slow", Beginning(0.03), 0.05, fault("slow")))
    await stage.play()
    assert stage.events.names == [
        "fault.apply",
        "fault.applied",
        "window.open",
        "fault.heal",
        "fault.healed",
        "window.close",
    ]
    assert 0.03 <= stage.at_s["window.open", "slow"] < 0.1
    assert stage.at_s["window.close", "slow"] - stage.at_s["window.open", "slow"] >= 0.05


async def test_windows_follow_the_edges_of_others() -> None:
    stage = Stage(
        Entry("slow", Beginning(0.02), 0.05, fault("slow")),
        Entry("early", Beginning(0.01, "slow", "start"), 0.02),
        Entry("late", Beginning(0.01, "slow", "end"), 0.02),
        Entry("from-the-start", Beginning(0.01, "run", "start"), None),
    )
    await stage.play()
    opened = {name: at_s for (event, name), at_s in stage.at_s.items() if event == "window.open"}
    assert opened["early"] - opened["slow"] >= 0.01
    assert opened["late"] - stage.at_s["fault.healed", "slow"] >= 0.01
    assert opened["from-the-start"] >= 0.01
    assert stage.at_s["window.close", "from-the-start"] >= 0.2


async def test_what_follows_a_slow_recovery_waits_for_it() -> None:
    stage = Stage(
        Entry("dead", Beginning(0.0), 0.02, fault("dead")),
        Entry("recovered", Beginning(0.0, "dead", "end"), 0.02),
        duration_s=0.3,
    )
    stage.world.slow_s["undo", "dead.0"] = 0.1
    await stage.play()
    assert stage.at_s["window.open", "recovered"] >= 0.12


async def test_nothing_begins_after_the_end_and_all_ends_with_it() -> None:
    stage = Stage(
        Entry("long", Beginning(0.05), None, fault("long")),
        Entry("longer", Beginning(0.05), 30.0, fault("longer")),
        Entry("too-late", Beginning(0.2), 0.1, fault("too-late")),
        Entry("never", Beginning(0.0, "long", "end"), 0.1),
        Entry("nor-this", Beginning(0.0, "too-late", "start"), 0.1),
        Entry("after-all", Beginning(0.0, "run", "end"), 0.1),
        duration_s=0.1,
    )
    await stage.play()
    assert {line["window"] for line in stage.events.of("window.open")} == {"long", "longer"}
    assert {line["fault"] for line in stage.events.of("fault.healed")} == {"long", "longer"}
    assert stage.at_s["window.close", "longer"] < 1.0


@pytest.mark.parametrize("call", ["apply", "undo"])
async def test_a_fault_that_cannot_be_done_ends_the_timeline_and_heals_the_others(call: str) -> None:
    stage = Stage(
        Entry("steady", Beginning(0.0), None, fault("steady")),
        Entry("broken", Beginning(0.02), 0.02, fault("broken")),
        Entry("follower", Beginning(0.0, "broken", "end"), 0.02),
        duration_s=30.0,
    )
    stage.world.fail.add((call, "broken.0"))
    with pytest.raises(ExceptionGroup):
        await stage.timeline.play()
    assert stage.world.active() == (("broken.0",) if call == "undo" else ())
    assert "fault.failed" in stage.events.names


async def test_cancelled_at_any_time_it_heals_everything() -> None:
    for delay_s in (0.0, 0.01, 0.03, 0.06):
        stage = Stage(
            Entry("one", Beginning(0.0), 0.04, fault("one")),
            Entry("two", Beginning(0.02), None, fault("two")),
            Entry("three", Beginning(0.0, "one", "end"), None, fault("three")),
            duration_s=30.0,
        )
        playing = asyncio.create_task(stage.timeline.play())
        await asyncio.sleep(delay_s)
        playing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await playing
        assert stage.world.active() == ()
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_it_tells_which_faults_are_in_force() -> None:
    stage = Stage(Entry("slow", Beginning(0.0), 0.05, fault("slow")), Entry("calm", Beginning(0.0), None))
    playing = asyncio.create_task(stage.timeline.play())
    await asyncio.sleep(0.02)
    assert list(stage.timeline.active) == ["slow"]
    await playing
