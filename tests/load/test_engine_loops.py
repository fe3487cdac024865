"""Callers in a closed loop, made by the engine, with a server beside it."""

from __future__ import annotations

import asyncio
import time

import pytest

from rpe.fakes import Kind
from tests.load.owners import ALWAYS, Owner, engine, nth, of_a_call, served
from tests.load.runs import at_once


async def halted(owner: Owner, *numbers: int) -> int:
    """Halt loops, wait until they have ended, and return how many works they have done."""
    for number in numbers:
        owner.send({"op": "halt", "call": number})
    return sum([(await owner.answer(number)).head["tally"]["started"] for number in numbers])


async def test_each_caller_has_one_call_under_way_and_makes_the_next_by_itself() -> None:
    async with served({"latency": {"fixed_s": 0.01}}) as (owner, fake):
        for number in (5, 6, 7):
            owner.loop(number, "execute")
        await fake.journal.wait_for(nth(of_a_call(Kind.SENT), 15))
        started = await halted(owner, 5, 6, 7)
        found = await owner.measured()
        assert started >= 16
        assert found.counts == {"attempt": started, "execute": started}
        assert min(found.good_ms("execute")) >= 10
        assert at_once(fake.journal.entries()) == 3


async def test_works_take_turns_each_under_its_own_name() -> None:
    async with served() as (owner, fake):
        owner.loop(5, "execute", "stream")
        await fake.journal.wait_for(nth(of_a_call(Kind.SENT), 4))
        started = await halted(owner, 5)
        counts = (await owner.measured()).counts
        assert counts["execute"] + counts["stream"] == started
        assert 0 <= counts["execute"] - counts["stream"] <= 1
        assert {(each.kind, each.name) for each in owner.samples} >= {
            ("execute", "a execute"),
            ("stream", "a stream"),
        }


async def test_a_caller_whose_calls_fail_goes_on() -> None:
    async with served({"error": {"status": "invalid_argument", "message": "no"}}) as (owner, fake):
        owner.loop(5, "execute")
        await fake.journal.wait_for(nth(of_a_call(Kind.FAILED), 4))
        started = await halted(owner, 5)
        assert len((await owner.measured()).errors("execute")) == started >= 5


async def test_a_call_that_could_not_be_made_at_the_end_of_its_pause_counts_from_there() -> None:
    async with served() as (owner, fake):
        owner.loop(5, "execute", wait_s=0.1)
        await fake.journal.wait_for(of_a_call(Kind.SENT))
        async with asyncio.timeout(10):
            while not (await owner.measured()).counts:
                pass
        time.sleep(0.4)  # noqa: ASYNC251 - this is the loop of the engine
        await fake.journal.wait_for(nth(of_a_call(Kind.SENT), 1))
        await halted(owner, 5)
        assert max((await owner.measured()).good_ms("execute")) >= 250


async def test_a_caller_that_is_cancelled_takes_its_call_with_it_and_a_halt_finds_nothing() -> None:
    async with served({"hang": {}}) as (owner, fake):
        owner.loop(5, "execute")
        await fake.journal.wait_for(of_a_call(Kind.RECEIVED))
        owner.send({"op": "cancel", "call": 5})
        await fake.journal.wait_for(of_a_call(Kind.CANCELLED))
        owner.send({"op": "halt", "call": 5})
        assert (await owner.measured()).counts == {}
        assert 5 not in owner.answers


@pytest.mark.parametrize("kind", ["loop", "arrive"])
async def test_a_halt_that_comes_with_the_order_is_not_lost(kind: str) -> None:
    async with served() as (owner, _):
        begin = owner.loop if kind == "loop" else owner.arrive
        begin(5, "execute")
        assert await halted(owner, 5) <= 1


async def test_callers_end_with_their_owner() -> None:
    async with served() as (owner, fake):
        owner.loop(5, "execute")
        owner.loop(6, "execute", wait_s=60.0)
        await fake.journal.wait_for(nth(of_a_call(Kind.SENT), 4))


@pytest.mark.parametrize("wait_s", [0.0, 60.0])
async def test_a_work_that_cannot_be_made_is_told(wait_s: float) -> None:
    async with engine() as owner:
        await owner.connect("127.0.0.1:1")
        order = {"op": "loop", "call": 6, "client": 1, "name": "caller", "pauses": {"wait_s": wait_s}}
        owner.send(order | {"works": [ALWAYS | {"op": "execute", "name": "a", "data": 99, "keep": False}]})
        assert (await owner.answer(6)).head["error"].startswith("KeyError")
