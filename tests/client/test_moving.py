"""Sessions that move: what they give, whatever becomes of their legs, and what each leg is judged to be."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from rpe.data import Numpy, Text
from rpe.errors import (
    SessionClosed,
    StreamBroken,
)
from rpe.policy.outcome import OperationOutcome
from tests.support.moving import QUIET, hear, rest, say, silent
from tests.support.roads import RoadSession, roads, settle

# --- moving ------------------------------------------------------------------------------------------------


async def test_without_a_fault_it_is_a_session_like_any_other() -> None:
    async with roads("a", QUIET) as r:
        async with await r.open() as session:
            assert session.endpoint == "a"
            assert session.session_id == "session at a"
            await say(session, "x", "y")
            assert await hear(session, 1) == [(0, "x")]
            assert session.last_answered == 0
            assert await rest(session) == [(1, "y")]
            assert await session.receive() is None
            with pytest.raises(SessionClosed):
                await session.send(Text("late"))
        assert r.outcomes() == [("ok", "success")]
        (operation,) = r.recorder.operations
        assert (operation.outcome, operation.attempts, operation.endpoint) == (OperationOutcome.OK, 1, "a")
        assert r.client.statistics().moves == 0


async def test_what_was_not_answered_is_sent_again_elsewhere_under_its_own_number() -> None:
    async with roads("ab", QUIET) as r:
        async with await r.open() as session:
            await say(session, "0", "1", "2")
            assert await hear(session, 3) == [(0, "0"), (1, "1"), (2, "2")]
            first = r.at(session)
            first.answer = silent
            await say(session, "3", "4")
            first.break_off()
            await say(session, "5")
            assert await hear(session, 3) == [(3, "3"), (4, "4"), (5, "5")]
            second = r.at(session)
            assert second is not first
            assert [number for number, _ in second.sent] == [2, 3, 4, 5]
            assert session.moves == 1
            assert await rest(session) == []
        assert r.outcomes() == [("stream_broken", "failure"), ("ok", "success")]
        (operation,) = r.recorder.operations
        assert (operation.outcome, operation.attempts) == (OperationOutcome.OK, 2)
        statistics = r.client.statistics()
        assert (statistics.moves, statistics.retries) == (1, 1)


async def test_the_memory_of_a_chunk_may_be_used_again_at_once() -> None:
    memory = np.zeros(4, np.float32)
    got: list[float] = []

    class Ear(RoadSession):
        async def send(self, data: Any, *, node_id: str, sequence: int, timestamp_ms: int = 0) -> None:
            got.append(float(data.array[0]))

    async with roads("a", QUIET) as r, await r.open() as session:
        r.at(session).send = Ear("a", silent, 1.0).send  # type: ignore[method-assign]
        for number in range(3):
            memory[:] = number
            await session.send(Numpy(memory))
        memory[:] = 99
        await settle()
        assert got == [0, 1, 2]
        await session.finish()


async def test_it_moves_although_its_caller_only_listens() -> None:
    async with roads("ab", QUIET) as r, await r.open() as session:
        r.at(session).answer = silent
        await say(session, "x")
        listening = asyncio.create_task(session.receive())
        await settle()
        r.at(session).break_off()
        result = await listening
        assert result is not None and result.output == Text("x")
        assert await rest(session) == []


async def test_it_moves_although_its_caller_only_sends() -> None:
    async with roads("ab", QUIET) as r, await r.open() as session:
        first = r.at(session)
        first.break_off()
        await say(session, "x")
        assert r.at(session) is not first
        assert r.at(session).sent == [(0, "x")]
        assert await rest(session) == [(0, "x")]


async def test_results_that_were_given_before_a_move_are_not_given_again() -> None:
    def spell(sequence: int, text: str) -> list[tuple[int, str]]:
        return [(sequence, letter) for letter in text]

    async with roads("ab", QUIET, answer=spell) as r, await r.open() as session:
        await say(session, "abc", "", "def")
        assert await hear(session, 4) == [(0, "a"), (0, "b"), (0, "c"), (2, "d")]
        r.at(session).cancel()
        r.at(session).error = StreamBroken("cut", endpoint=session.endpoint)
        assert await hear(session, 1) == [(2, "e")]
        assert [number for number, _ in r.at(session).sent] == [2]
        assert await rest(session) == [(2, "f")]


async def test_it_moves_as_often_as_it_must_if_results_come_between() -> None:
    async with roads("abc", QUIET) as r, await r.open() as session:
        for number in range(30):
            r.at(session).answer = silent
            await say(session, str(number))
            r.at(session).break_off()
            for road in r.roads.values():
                road.answer = lambda sequence, text: [(sequence, text)]
            assert await hear(session, 1) == [(number, str(number))]
            await r.clock.advance(1.0)
        assert session.moves == 30
        assert await rest(session) == []


async def test_a_session_that_dies_after_finish_is_finished_again() -> None:
    async with roads("ab", QUIET) as r, await r.open() as session:
        first = r.at(session)
        first.answer, first.closes = silent, False
        await say(session, "x", "y")
        await session.finish()
        await settle()
        assert first.finished
        first.break_off()
        assert await hear(session, 2) == [(0, "x"), (1, "y")]
        assert await session.receive() is None
        assert r.at(session).finished
        assert r.outcomes() == [("stream_broken", "failure"), ("ok", "success")]


async def test_a_server_that_closes_before_it_was_asked_to_is_left() -> None:
    async with roads("ab", QUIET) as r, await r.open() as session:
        r.at(session).answer = silent
        await say(session, "x")
        r.at(session).close()
        assert await hear(session, 1) == [(0, "x")]
        assert session.moves == 1
        assert "before it was asked" in str(r.recorder.attempts[0].error)
        assert await rest(session) == []


async def test_chunks_without_results_are_confirmed_by_a_later_one_or_by_the_end() -> None:
    def every_third(sequence: int, text: str) -> list[tuple[int, str]]:
        return [(sequence, text)] if sequence % 3 == 2 else []

    async with roads("ab", QUIET, answer=every_third) as r, await r.open() as session:
        await say(session, *"abcdefgh")
        assert await hear(session, 2) == [(2, "c"), (5, "f")]
        r.at(session).break_off()
        await say(session, "i")
        assert await hear(session, 1) == [(8, "i")]
        assert [number for number, _ in r.at(session).sent] == [5, 6, 7, 8]
        await say(session, "j")
        assert await rest(session) == []


async def test_an_endpoint_that_was_not_tried_comes_first_and_costs_no_pause() -> None:
    async with roads("abc", QUIET) as r, await r.open() as session:
        seen = [session.endpoint]
        listening = asyncio.create_task(session.receive())
        await settle()
        for _ in range(2):
            r.roads[session.endpoint].die()
            await settle()
            seen.append(session.endpoint)
        assert sorted(seen) == ["a", "b", "c"]
        assert r.clock.slept == []
        await say(session, "x")
        assert await listening is not None
        assert await rest(session) == []


async def test_legs_carry_the_name_of_the_operation_and_what_is_left_of_its_deadline() -> None:
    async with roads("ab", QUIET) as r:
        async with await r.open(
            timeout_s=60.0, operation_id="op-1", metadata=(("x-tenant", "t"),)
        ) as session:
            first = r.at(session)
            assert first.timeout_s == pytest.approx(60.0)
            await r.clock.advance(20.0)
            first.break_off()
            await say(session, "x")
            assert r.at(session).timeout_s == pytest.approx(40.0)
            calls = [call for road in r.roads.values() for call in road.calls]
            assert sorted(dict(call.metadata)["rpe-attempt"] for call in calls) == ["1", "2"]
            assert {dict(call.metadata)["rpe-operation-id"] for call in calls} == {"op-1"}
            await rest(session)
        assert [start.number for start in r.recorder.starts] == [1, 2]
