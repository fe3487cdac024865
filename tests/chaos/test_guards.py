"""A fault is a guard: whatever ends it, and wherever it is cancelled, nothing stays in force."""

from __future__ import annotations

import asyncio

import pytest

from rpe.chaos.guards import FaultApplyError, FaultGuard, HealError, ScriptedFault
from rpe.clock import SYSTEM_CLOCK
from rpe.faults.actions import CutLink, SetToxic, Step
from tests.support.chaos import Events, RecordingWorld

TOXIC = SetToxic("a", "latency", "downstream", {"latency": 1})


def fault(*steps: Step) -> ScriptedFault:
    return ScriptedFault("slow", "latency", ("a", "b"), steps)


CONSTANT = fault(Step(0, "0", TOXIC), Step(0, "1", CutLink("b")))
FLAPPING = fault(
    Step(0, "0", TOXIC),
    Step(0.01, "0", TOXIC, on=False),
    Step(0.02, "0", TOXIC),
    Step(0.03, "1", CutLink("b")),
)


@pytest.fixture
async def world() -> RecordingWorld:
    return RecordingWorld()


async def test_it_applies_in_order_and_heals_in_reverse(world: RecordingWorld) -> None:
    history = Events()
    async with FaultGuard(world, CONSTANT, history) as guard:
        assert set(world.active()) == {"slow.0", "slow.1"}
        assert guard.active == 2
        await guard.play()
    assert world.calls == [("apply", "slow.0"), ("apply", "slow.1"), ("undo", "slow.1"), ("undo", "slow.0")]
    assert world.active() == ()
    assert guard.active == 0
    assert history.names == ["fault.apply", "fault.applied", "fault.heal", "fault.healed"]
    assert history[0] == {"e": "fault.apply", "fault": "slow", "kind": "latency", "on": ["a", "b"]}
    assert history[1] == {"e": "fault.applied", "fault": "slow", "verified": True}


async def test_later_steps_are_played_at_their_times(world: RecordingWorld) -> None:
    began = SYSTEM_CLOCK.now()
    async with FaultGuard(world, FLAPPING, Events()) as guard:
        await guard.play()
        assert SYSTEM_CLOCK.now() - began >= 0.03
        assert set(world.active()) == {"slow.0", "slow.1"}
    assert world.calls == [
        ("apply", "slow.0"),
        ("undo", "slow.0"),
        ("apply", "slow.0"),
        ("apply", "slow.1"),
        ("undo", "slow.1"),
        ("undo", "slow.0"),
    ]
    assert world.active() == ()


async def test_an_error_in_the_body_heals_and_passes_through(world: RecordingWorld) -> None:
    with pytest.raises(ZeroDivisionError):
        async with FaultGuard(world, CONSTANT, Events()):
            raise ZeroDivisionError
    assert world.active() == ()


@pytest.mark.parametrize("key", ["slow.0", "slow.1"])
async def test_a_fault_that_cannot_be_applied_is_taken_back(world: RecordingWorld, key: str) -> None:
    world.fail.add(("apply", key))
    history = Events()
    with pytest.raises(FaultApplyError, match="refused"):
        async with FaultGuard(world, CONSTANT, history):
            raise AssertionError("entered all the same")
    assert world.active() == ()
    assert history.names == ["fault.apply", "fault.failed", "fault.heal", "fault.healed"]


async def test_a_later_step_that_fails_heals_what_is_in_force(world: RecordingWorld) -> None:
    world.fail.add(("apply", "slow.1"))
    with pytest.raises(FaultApplyError):
        async with FaultGuard(world, FLAPPING, Events()) as guard:
            await guard.play()
    assert world.active() == ()


async def test_every_heal_error_is_told_and_the_rest_is_healed(world: RecordingWorld) -> None:
    world.fail |= {("undo", "slow.0"), ("undo", "slow.1")}
    history = Events()
    steps = fault(*CONSTANT.steps, Step(0, "2", CutLink("c")))
    with pytest.raises(HealError) as caught:
        async with FaultGuard(world, steps, history) as guard:
            pass
    assert len(caught.value.problems) == 2
    assert "slow.0" in str(caught.value)
    assert "slow.1" in str(caught.value)
    assert set(world.active()) == {"slow.0", "slow.1"}
    assert guard.active == 2
    assert history.names[-2:] == ["fault.heal", "fault.failed"]


async def test_an_error_and_a_heal_error_are_raised_together(world: RecordingWorld) -> None:
    world.fail.add(("undo", "slow.0"))
    with pytest.raises(BaseExceptionGroup) as caught:
        async with FaultGuard(world, CONSTANT, Events()):
            raise ZeroDivisionError
    assert {type(error) for error in caught.value.exceptions} == {ZeroDivisionError, HealError}


async def test_healing_is_bounded_in_time(world: RecordingWorld) -> None:
    world.hang.add(("undo", "slow.1"))
    with pytest.raises(HealError, match="not undone within"):
        async with FaultGuard(world, CONSTANT, Events(), heal_timeout_s=0.02):
            pass
    assert world.active() == ("slow.1",)


@pytest.mark.parametrize(
    ("script", "wait"),
    [
        (CONSTANT, ("apply", "slow.0")),
        (CONSTANT, ("apply", "slow.1")),
        (FLAPPING, ("undo", "slow.0")),
        (FLAPPING, ("apply", "slow.1")),
    ],
)
async def test_cancelled_at_a_wait_it_still_heals(
    world: RecordingWorld, script: ScriptedFault, wait: tuple[str, str]
) -> None:
    world.hang.add(wait)

    async def body() -> None:
        async with FaultGuard(world, script, Events()) as guard:
            await guard.play()
            await asyncio.sleep(30)

    task = asyncio.create_task(body())
    await world.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.active() == ()


async def test_cancelled_between_steps_and_in_the_body_it_heals(world: RecordingWorld) -> None:
    for delay_s in (0.0, 0.005, 0.015, 0.025, 0.05):

        async def body() -> None:
            async with FaultGuard(world, FLAPPING, Events()) as guard:
                await guard.play()
                await asyncio.sleep(30)

        task = asyncio.create_task(body())
        await asyncio.sleep(delay_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert world.active() == ()


async def test_cancelled_again_and_again_while_healing_it_heals_to_the_end(world: RecordingWorld) -> None:
    world.hang.add(("undo", "slow.1"))
    history = Events()

    async def body() -> None:
        async with FaultGuard(world, CONSTANT, history, heal_timeout_s=0.05):
            pass

    task = asyncio.create_task(body())
    await world.reached.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.002)
    assert not task.done()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    # The undo that hung is reported; the other one was done nevertheless.
    assert isinstance(caught.value.__cause__, HealError)
    assert world.active() == ("slow.1",)
    assert history.names[-1] == "fault.failed"


async def test_a_cancel_and_a_heal_error_stay_a_cancel_with_a_note(world: RecordingWorld) -> None:
    world.fail.add(("undo", "slow.0"))

    async def body() -> None:
        async with FaultGuard(world, CONSTANT, Events()):
            await asyncio.sleep(30)

    task = asyncio.create_task(body())
    await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert any("may still be in force" in note for note in caught.value.__notes__)


async def test_nothing_is_the_identity(world: RecordingWorld) -> None:
    async with FaultGuard(world, fault(), Events()) as guard:
        await guard.play()
    assert world.calls == []
