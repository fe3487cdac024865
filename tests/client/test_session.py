"""Sessions of the reliable client: opened elsewhere if need be, and judged when they have ended."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace

import pytest

from rpe.client.session import StreamSession
from rpe.client.settings import ClientSettings
from rpe.data import Text
from rpe.errors import DataValidationError, RpeError, SessionClosed, StreamBroken
from rpe.policy.breaker import BreakerSettings
from rpe.policy.health import HealthSettings
from rpe.policy.outcome import OperationOutcome, Outcome
from tests.support.scripted import MANIFEST, Stage, failing, ok, refused, stage

QUIET = ClientSettings(health=HealthSettings(enabled=False))


async def use(session: StreamSession, chunks: int) -> list[int]:
    for number in range(chunks):
        await session.send(Text(str(number)))
    await session.finish()
    return [result.sequence async for result in session]


def outcomes(s: Stage) -> list[Outcome]:
    return [attempt.outcome for attempt in s.recorder.attempts]


async def test_chunks_are_numbered_and_answered_and_a_closed_session_is_a_success() -> None:
    async with stage({"a": ok}, QUIET) as s:
        async with await s.client.open_stream(MANIFEST) as session:
            assert outcomes(s) == []
            assert await use(session, 5) == [0, 1, 2, 3, 4]
        assert outcomes(s) == [Outcome.SUCCESS]
        assert [operation.outcome for operation in s.recorder.operations] == [OperationOutcome.OK]


async def test_opening_is_retried_elsewhere() -> None:
    async with stage({"a": failing(refused), "b": ok}, QUIET) as s:
        for _ in range(4):
            async with await s.client.open_stream(MANIFEST) as session:
                assert session.endpoint == "b"
                await use(session, 1)


async def test_a_stream_that_breaks_after_good_results_is_the_endpoints_failure() -> None:
    settings = replace(QUIET, breaker=BreakerSettings(failure_threshold=3))
    async with stage({"a": ok, "b": ok}, settings) as s:
        for _ in range(20):
            async with await s.client.open_stream(MANIFEST) as session:
                await session.send(Text("x"))
                assert await session.receive() is not None
                if session.endpoint == "a":
                    opened = s.endpoints["a"].session
                    assert opened is not None
                    opened.break_off()
                    with pytest.raises(StreamBroken):
                        await session.receive()
                else:
                    await session.finish()
                    assert await session.receive() is None
        at_a = [attempt.outcome for attempt in s.recorder.attempts if attempt.endpoint == "a"]
        assert at_a == [Outcome.FAILURE] * 3
        assert [(record.endpoint, record.after) for record in s.recorder.breakers] == [("a", "open")]


async def test_a_session_that_is_not_repeatable_stays_where_it_is() -> None:
    async with stage({"a": ok, "b": ok}, replace(QUIET, repeatable=True)) as s:
        async with await s.client.open_stream(MANIFEST, repeatable=False) as session:
            opened = s.endpoints[session.endpoint].session
            assert opened is not None
            opened.break_off()
            with pytest.raises(StreamBroken):
                await session.receive()
        assert len(s.calls) == 1


@pytest.mark.parametrize("way", ["cancel", "leave", "drop", "cancelled receive"])
async def test_walking_away_frees_the_place_and_blames_nobody(way: str) -> None:
    async with stage({"a": ok}, QUIET) as s:
        session = await s.client.open_stream(MANIFEST)
        assert s.client.statistics().in_flight == 1
        if way == "cancel":
            session.cancel()
        elif way == "leave":
            async with session:
                pass
        elif way == "cancelled receive":
            task = asyncio.create_task(session.receive())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        del session
        gc.collect()
        assert s.client.statistics().in_flight == 0
        assert outcomes(s) == [Outcome.NEUTRAL]
        assert len(s.recorder.operations) == 1


async def test_cancelling_twice_and_using_it_afterwards() -> None:
    async with stage({"a": ok}, QUIET) as s:
        session = await s.client.open_stream(MANIFEST)
        session.cancel()
        session.cancel()
        with pytest.raises(SessionClosed):
            await session.send(Text("late"))
        with pytest.raises(SessionClosed):
            await session.receive()
        assert outcomes(s) == [Outcome.NEUTRAL]


async def test_a_chunk_refused_before_it_was_sent_does_not_end_the_session() -> None:
    async with stage({"a": ok}, QUIET) as s, await s.client.open_stream(MANIFEST) as session:
        opened = s.endpoints["a"].session
        assert opened is not None
        real = opened.send

        async def refuse(*arguments: object, **named: object) -> None:
            raise DataValidationError("is 0, after 3", field="sequence")

        opened.send = refuse  # type: ignore[method-assign]
        with pytest.raises(DataValidationError):
            await session.send(Text("x"))
        opened.send = real  # type: ignore[method-assign]
        assert await use(session, 2) == [0, 1]
        assert outcomes(s) == [Outcome.SUCCESS]


async def test_no_endpoint_left_to_open_at_is_told_with_the_attempts() -> None:
    async with stage({"a": failing(refused), "b": failing(refused)}, QUIET) as s:
        with pytest.raises(RpeError) as caught:
            await s.client.open_stream(MANIFEST, timeout_s=0.5)
        assert {attempt.endpoint for attempt in caught.value.attempts} == {"a", "b"}
        assert len(s.recorder.operations) == 1


async def test_long_sessions_alone_close_a_breaker_again() -> None:
    settings = replace(
        QUIET, breaker=BreakerSettings(failure_threshold=2, success_threshold=2, reset_timeout_s=10.0)
    )
    async with stage({"a": failing(refused, first=2), "b": ok}, settings) as s:
        for _ in range(8):
            async with await s.client.open_stream(MANIFEST) as session:
                await use(session, 1)
        assert s.recorder.breakers[-1].after == "open"
        s.clock.time_s += 15.0
        held = [await s.client.open_stream(MANIFEST) for _ in range(8)]
        assert [record.after for record in s.recorder.breakers if record.endpoint == "a"][-1] == "closed"
        assert "a" in [session.endpoint for session in held]
        for session in held:
            session.cancel()
