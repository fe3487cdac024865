"""Sessions that move: which errors are worth a move, and how it ends where none is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from rpe.data import Text
from rpe.errors import (
    AuthenticationFailed,
    ConnectionLost,
    DataValidationError,
    InvalidRequest,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteOverloaded,
    RemoteTimeout,
    RemoteUnavailable,
    RpeError,
    StreamBroken,
)
from rpe.policy.budget import BudgetSettings
from tests.support.moving import QUIET, hear, rest, say, silent
from tests.support.roads import roads, settle

# --- what is worth a move, and what is not -----------------------------------------------------------------

MOVES: dict[str, Callable[[], RpeError]] = {
    "connection lost": lambda: ConnectionLost("x"),
    "unavailable": lambda: RemoteUnavailable("x"),
    "overloaded": lambda: RemoteOverloaded("x"),
    "nonsense": lambda: ProtocolViolation("x"),
    "failed": lambda: RemoteExecutionFailed("x"),
    "an old token": lambda: AuthenticationFailed("x", retryable=True),
    "its own deadline": lambda: RemoteTimeout("x"),
}

STAYS: dict[str, Callable[[], RpeError]] = {
    "refused": lambda: InvalidRequest("x"),
    "data": lambda: DataValidationError("x"),
    "too large": lambda: RemoteExecutionFailed("x", error_type="resource_limit", retryable=False),
    "a wrong token": lambda: AuthenticationFailed("x"),
    "told not to come back": lambda: RemoteOverloaded("x", retry_after_s=-1.0),
}


@pytest.mark.parametrize("error", MOVES.values(), ids=MOVES.keys())
async def test_errors_that_another_endpoint_can_mend(error: Callable[[], RpeError]) -> None:
    async with roads("ab", QUIET) as r, await r.open() as session:
        r.at(session).answer = silent
        await say(session, "x")
        r.at(session).break_off(error())
        assert await hear(session, 1) == [(0, "x")]
        assert session.moves == 1
        assert await rest(session) == []


@pytest.mark.parametrize("error", STAYS.values(), ids=STAYS.keys())
async def test_errors_that_none_can_mend(error: Callable[[], RpeError]) -> None:
    async with roads("ab", QUIET) as r, await r.open() as session:
        await say(session, "x", "y")
        assert await hear(session, 2) == [(0, "x"), (1, "y")]
        r.at(session).break_off(error())
        with pytest.raises(RpeError) as caught:
            await session.receive()
        with pytest.raises(type(caught.value)):
            await session.send(Text("z"))
        told = str(caught.value)
        assert "chunk 1 was the last one answered" in told
        assert "never moved" in told
        assert len(caught.value.attempts) == 1
        assert len(r.recorder.attempts) == 1


async def test_a_chunk_that_kills_each_server_does_not_do_so_for_ever() -> None:
    """The answered chunk is answered again on each leg: that is no progress."""

    def fragile(sequence: int, text: str) -> list[tuple[int, str]]:
        if text == "poison":
            for road in r.roads.values():
                for session in road.sessions:
                    session.break_off(RemoteExecutionFailed("node failed"))
            return []
        return [(sequence, text)]

    async with roads("ab", QUIET, answer=fragile) as r:
        async with await r.open() as session:
            await say(session, "fine", "poison")
            assert await hear(session, 1) == [(0, "fine")]
            listening = asyncio.create_task(session.receive())
            for _ in range(10):
                await r.clock.advance(10.0)
            with pytest.raises(StreamBroken) as caught:
                await listening
        assert len(r.recorder.attempts) == 1 + QUIET.retry.max_retries
        assert caught.value.last_sequence == 0
        assert "moved 3 times" in str(caught.value)
        assert len(caught.value.attempts) == 4
        assert "node failed" in str(caught.value)
        (operation,) = r.recorder.operations
        assert operation.error is caught.value


async def test_when_all_endpoints_are_dead_the_error_tells_it_all() -> None:
    async with roads("ab", QUIET) as r:
        async with await r.open(operation_id="op") as session:
            await say(session, *"xyz")
            assert await hear(session, 2) == [(0, "x"), (1, "y")]
            listening = asyncio.create_task(session.receive())
            await settle()
            first = session.endpoint
            assert (await listening) is not None
            listening = asyncio.create_task(session.receive())
            for road in r.roads.values():
                road.die()
            await r.clock.advance(60.0)
            with pytest.raises(StreamBroken) as caught:
                await listening
            error = caught.value
            assert error.last_sequence == 2
            assert error.endpoint == first
            assert [attempt.endpoint for attempt in error.attempts][:2] == [
                first,
                "b" if first == "a" else "a",
            ]
            assert "refused" in str(error) and "cut" in str(error) and "hint:" in str(error)
            with pytest.raises(StreamBroken):
                await session.send(Text("late"))
            session.cancel()
        assert [operation.code for operation in r.recorder.operations] == ["stream_broken"]


async def test_an_empty_budget_ends_it_and_says_so() -> None:
    settings = replace(QUIET, budget=BudgetSettings(ratio=1.0, min_per_s=0.0))
    async with roads("abcd", settings) as r, await r.open() as session:
        for text in "xyz":
            r.at(session).break_off()
            with contextlib.suppress(StreamBroken):
                await say(session, text)
        with pytest.raises(StreamBroken, match="budget is empty"):
            await session.receive()
        assert 1 < len(r.recorder.attempts) < 4


async def test_the_deadline_of_the_session_is_one_for_all_its_legs() -> None:
    async with roads("ab", QUIET, answer=silent) as r:
        async with await r.open(timeout_s=5.0) as session:
            await say(session, "x")
            listening = asyncio.create_task(session.receive())
            await r.clock.advance(4.0)
            r.at(session).break_off()
            await r.clock.advance(1.0)
            r.at(session).break_off(RemoteTimeout("the deadline is over", endpoint=session.endpoint))
            with pytest.raises(RemoteTimeout) as caught:
                await listening
        assert "no chunk was answered" in str(caught.value)
        assert len(caught.value.attempts) == 2
        assert len(r.recorder.attempts) == 2


async def test_just_before_the_deadline_no_further_endpoint_is_asked_only_to_be_blamed() -> None:
    async with roads("ab", QUIET, answer=silent) as r:
        async with await r.open(timeout_s=5.0) as session:
            await say(session, "x")
            await r.clock.advance(4.995)
            r.at(session).break_off(RemoteTimeout("the deadline is over", endpoint=session.endpoint))
            with pytest.raises(RemoteTimeout):
                await session.receive()
        assert len(r.recorder.attempts) == 1


async def test_a_chunk_that_the_wire_cannot_carry_ends_the_session_and_blames_nobody() -> None:
    async with roads("ab", QUIET) as r:
        async with await r.open() as session:

            async def refuse(*arguments: object, **named: object) -> None:
                raise DataValidationError("holds several buffers", field="data")

            r.at(session).send = refuse  # type: ignore[method-assign]
            await say(session, "x")
            with pytest.raises(DataValidationError, match="several buffers"):
                await session.receive()
        assert r.outcomes() == [("data_validation", "neutral")]


async def test_a_leg_that_is_never_ready_is_given_up_in_time() -> None:
    async with roads("abc", replace(QUIET, open_timeout_s=2.0)) as r, await r.open() as session:
        r.at(session).answer = silent
        await say(session, "x")
        others = [road for name, road in r.roads.items() if name != session.endpoint]
        others[0].stuck = others[1].stuck = True
        r.at(session).break_off()
        await say(session, "y")
        next(road for road in others if not road.calls).stuck = False
        assert session.moves == 0
        await r.clock.advance(2.1)
        assert session.moves == 1
        assert await hear(session, 2) == [(0, "x"), (1, "y")]
        assert await rest(session) == []


# --- results that cannot be --------------------------------------------------------------------------------


async def test_a_result_out_of_order_is_told_and_not_swallowed() -> None:
    async with roads("ab", QUIET, answer=silent) as r, await r.open() as session:
        await say(session, "x", "y")
        r.at(session).result(1, "y")
        r.at(session).result(0, "x")
        assert await hear(session, 1) == [(1, "y")]
        with pytest.raises(ProtocolViolation, match="order") as caught:
            await session.receive()
        assert "chunk 1 was the last one answered" in str(caught.value)
        assert r.outcomes() == [("protocol_violation", "failure")]


async def test_a_server_that_numbers_anew_after_a_move_is_left_for_another() -> None:
    async with roads("abc", QUIET) as r, await r.open() as session:
        await say(session, *"01234")
        await hear(session, 5)
        first = session.endpoint

        def anew(sequence: int, text: str) -> list[tuple[int, str]]:
            return [(0, text)]

        others = [road for name, road in r.roads.items() if name != first]
        others[0].answer = others[1].answer = anew
        r.at(session).answer = silent
        await say(session, "5")
        r.at(session).break_off()
        await settle()
        second = session.endpoint
        next(road for road in others if road.endpoint != second).answer = lambda n, text: [(n, text)]
        assert await hear(session, 1) == [(5, "5")]
        assert session.endpoint not in (first, second)
        assert [code for code, _ in r.outcomes()] == ["stream_broken", "protocol_violation"]
        assert await rest(session) == []
