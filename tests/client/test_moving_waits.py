"""Sessions that move: waiting for room, silence, and walking away at each wait."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import replace

import pytest

from rpe.client import MovingSession
from rpe.data import Text
from rpe.errors import (
    DataValidationError,
    InvalidRequest,
    RemoteTimeout,
    SessionClosed,
)
from rpe.policy.outcome import OperationOutcome, Outcome
from tests.support.moving import QUIET, hear, rest, say, silent
from tests.support.roads import Roads, RoadSession, roads, settle
from tests.support.scripted import MANIFEST

# --- backpressure ------------------------------------------------------------------------------------------


async def test_send_waits_while_the_buffer_is_full() -> None:
    async with roads("a", replace(QUIET, replay_chunks=3)) as r, await r.open() as session:
        await say(session, *"abc")
        waiting = asyncio.create_task(session.send(Text("d")))
        await settle()
        assert not waiting.done()
        await hear(session, 1)
        assert await waiting == 3
        assert await rest(session) == [(1, "b"), (2, "c"), (3, "d")]


async def test_bytes_fill_it_too() -> None:
    async with roads("a", replace(QUIET, replay_bytes=2000)) as r, await r.open() as session:
        await session.send(Text("x" * 1500))
        waiting = asyncio.create_task(session.send(Text("y" * 1500)))
        await settle()
        assert not waiting.done()
        await hear(session, 1)
        assert await waiting == 1
        assert len(await rest(session)) == 1


async def test_a_send_that_waits_is_woken_by_the_end() -> None:
    async with roads("a", replace(QUIET, replay_chunks=1)) as r:
        for end in ("cancel", "error", "leave"):
            async with await r.open() as session:
                await say(session, "x")
                waiting = asyncio.create_task(session.send(Text("y")))
                await settle()
                if end == "cancel":
                    session.cancel()
                elif end == "error":
                    r.at(session).break_off(InvalidRequest("no"))
                    await hear(session, 1)
                    await waiting  # the answer made room
                    with pytest.raises(InvalidRequest):
                        await session.receive()
                    continue
            with pytest.raises(SessionClosed):
                await waiting


async def test_a_caller_that_gives_up_waiting_for_room_has_sent_nothing_and_may_go_on() -> None:
    async with roads("a", replace(QUIET, replay_chunks=1)) as r, await r.open() as session:
        await say(session, "x")
        waiting = asyncio.create_task(session.send(Text("lost")))
        await settle()
        waiting.cancel()
        await settle()
        assert await hear(session, 1) == [(0, "x")]
        await say(session, "y")
        assert await rest(session) == [(1, "y")]


async def test_a_wire_that_pushes_back_does_not_stop_a_move() -> None:
    async with roads("ab", QUIET) as r, await r.open() as session:
        first = r.at(session)
        first.held = True
        await say(session, *"xyz")
        assert first.sent == []
        first.break_off()
        assert await hear(session, 3) == [(0, "x"), (1, "y"), (2, "z")]
        assert await rest(session) == []


async def test_a_full_buffer_is_what_a_deadline_is_blamed_on() -> None:
    async with roads("a", replace(QUIET, replay_chunks=2), answer=silent) as r, await r.open() as session:
        await say(session, "x", "y")
        waiting = asyncio.create_task(session.send(Text("z")))
        await settle()
        await r.clock.advance(QUIET.stream_timeout_s)
        r.at(session).break_off(RemoteTimeout("the deadline is over"))
        with pytest.raises(RemoteTimeout, match="replay_chunks"):
            await session.receive()
        with pytest.raises(RemoteTimeout):
            await waiting


async def test_a_number_that_does_not_rise_ends_nothing() -> None:
    async with roads("a", QUIET) as r, await r.open() as session:
        await session.send(Text("x"), sequence=5)
        with pytest.raises(DataValidationError, match="sequence"):
            await session.send(Text("y"), sequence=5)
        assert await session.send(Text("z")) == 6
        assert await rest(session) == [(5, "x"), (6, "z")]


# --- silence -----------------------------------------------------------------------------------------------

WATCHED = replace(QUIET, stream_stall_timeout_s=2.0)


async def test_a_leg_that_is_silent_for_too_long_is_left() -> None:
    async with roads("ab", WATCHED) as r, await r.open() as session:
        r.at(session).answer = silent
        await r.clock.advance(5.0)
        await say(session, "x")
        listening = asyncio.create_task(session.receive())
        await r.clock.advance(1.9)
        assert session.moves == 0
        await r.clock.advance(0.2)
        assert session.moves == 1
        assert await listening is not None
        assert "nothing came for 2 s" in str(r.recorder.attempts[0].error)
        assert r.outcomes() == [("stream_broken", "failure")]
        assert await rest(session) == []


async def test_silence_while_nothing_is_unanswered_or_nobody_listens_is_none() -> None:
    async with roads("ab", WATCHED) as r, await r.open() as session:
        await say(session, "x")
        await r.clock.advance(50.0)  # nobody listens
        assert await hear(session, 1) == [(0, "x")]
        listening = asyncio.create_task(session.receive())
        await r.clock.advance(50.0)  # nothing is unanswered
        assert session.moves == 0
        await r.clock.advance(1.5)
        r.at(session).answer = silent
        await say(session, "y")
        await r.clock.advance(1.9)  # silence counts from the chunk on
        assert session.moves == 0
        await r.clock.advance(0.2)
        assert session.moves == 1
        assert await listening is not None
        assert await rest(session) == []


async def test_a_server_that_never_closes_after_finish_is_left_too() -> None:
    async with roads("ab", WATCHED) as r, await r.open() as session:
        r.at(session).closes = False
        await say(session, "x")
        assert await hear(session, 1) == [(0, "x")]
        await session.finish()
        listening = asyncio.create_task(session.receive())
        await r.clock.advance(2.1)
        assert await listening is None
        assert session.moves == 1


async def test_without_the_setting_silence_means_nothing() -> None:
    async with roads("ab", QUIET) as r, await r.open() as session:
        r.at(session).answer = silent
        await say(session, "x")
        listening = asyncio.create_task(session.receive())
        await r.clock.advance(1000.0)
        assert session.moves == 0
        assert r.clock.slept == []
        r.at(session).result(0, "x")
        await listening
        assert await rest(session) == []


# --- walking away ------------------------------------------------------------------------------------------


async def in_the_open(r: Roads) -> MovingSession:
    return await r.open()


async def waiting_for_room(r: Roads) -> MovingSession:
    session = await r.open()
    await say(session, *"xy")
    return session


async def while_it_opens(r: Roads) -> MovingSession:
    session = await r.open()
    for road in r.roads.values():
        road.stuck = True
    r.at(session).break_off()
    await say(session, "x")
    return session


async def while_it_pauses(r: Roads) -> MovingSession:
    session = await r.open()
    for road in r.roads.values():
        road.die()
    await say(session, "x")
    assert r.clock.sleepers
    return session


async def while_the_wire_pushes_back(r: Roads) -> MovingSession:
    session = await r.open()
    r.at(session).held = True
    await say(session, "x")
    return session


PLACES = [in_the_open, waiting_for_room, while_it_opens, while_it_pauses, while_the_wire_pushes_back]


@pytest.mark.parametrize("watched", [False, True], ids=["", "watched"])
@pytest.mark.parametrize("way", ["cancel", "leave", "drop", "cancelled receive", "close the client"])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
async def test_walking_away_leaves_nothing_and_blames_nobody(
    place: Callable[[Roads], asyncio.Future[MovingSession]], way: str, watched: bool
) -> None:
    settings = replace(QUIET, replay_chunks=2, stream_stall_timeout_s=100.0 if watched else None)
    async with roads("ab", settings) as r:
        session = await place(r)
        broken = len(r.recorder.attempts)
        if way == "cancel":
            session.cancel()
            session.cancel()
            with pytest.raises(SessionClosed):
                await session.receive()
        elif way == "leave":
            async with session:
                pass
        elif way == "cancelled receive":
            while r.at(session)._results:
                await session.receive()
            task = asyncio.create_task(session.receive())
            await settle()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            del task
            with pytest.raises(SessionClosed):
                await session.send(Text("late"))
        elif way == "close the client":
            await r.client.close()
            with pytest.raises(SessionClosed):
                await session.receive()
        del session
        gc.collect()
        await settle()
        assert {record.outcome for record in r.recorder.attempts[broken:]} <= {Outcome.NEUTRAL}
        assert len(r.recorder.operations) == 1
        assert r.recorder.operations[0].outcome is not OperationOutcome.OK


async def test_opening_can_be_cancelled() -> None:
    async with roads("ab", QUIET) as r:
        for road in r.roads.values():
            road.stuck = True
        opening = asyncio.create_task(r.open())
        await settle()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert r.outcomes() == [("cancelled", "neutral")]
        assert len(r.recorder.operations) == 1


async def test_a_client_that_is_closed_at_once_ends_sessions_that_have_hardly_begun() -> None:
    async with roads("a", QUIET) as r:
        session = await r.open()
        await r.client.close()
        with pytest.raises(SessionClosed):
            await session.send(Text("late"))
        assert r.outcomes() == [("session_closed", "neutral")]


async def test_an_error_of_an_observer_reaches_the_caller() -> None:
    async with roads("ab", QUIET) as r:
        session = await r.open()

        def explode(start: object) -> None:
            raise ZeroDivisionError("odd")

        r.recorder.on_attempt_start = explode  # type: ignore[method-assign]
        r.at(session).break_off()
        with pytest.raises(ZeroDivisionError):
            await session.receive()
        with pytest.raises(ZeroDivisionError):
            await session.send(Text("x"))
        del r.recorder.on_attempt_start
        r.recorder.attempts.pop()  # the one that was not announced


async def test_the_settings_say_what_a_session_is_unless_it_says_so_itself() -> None:
    async with roads("a", replace(QUIET, repeatable=True)) as r:
        async with await r.client.open_stream(MANIFEST) as session:
            assert isinstance(session, MovingSession)
        async with await r.client.open_stream(MANIFEST, repeatable=False) as session:
            assert not isinstance(session, MovingSession)
            assert isinstance(r.roads["a"].sessions[-1], RoadSession)
