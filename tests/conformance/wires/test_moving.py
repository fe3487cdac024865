"""Sessions that survive their server, on every wire: each chunk is answered once, by whoever lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from rpe.client import ClientSettings, MovingSession, StreamSession
from rpe.data import RuntimeData, Text
from rpe.errors import (
    AuthenticationFailed,
    InvalidRequest,
    RemoteExecutionFailed,
    RpeError,
    SessionClosed,
    StreamBroken,
)
from rpe.fakes import Kind
from tests.support.fleet import SETTINGS, Fleet, echoes, hear, read, rest, talk
from tests.support.wire_pairs import ECHO, pipeline

PATIENCE_S = 20.0


@pytest.fixture
async def fleet(wire: str) -> AsyncIterator[Fleet]:
    async with asyncio.timeout(PATIENCE_S), AsyncExitStack() as stack:
        fleet = Fleet(wire, stack)
        yield fleet
    ends = [(record.operation_id, record.number) for record in fleet.recorder.attempts]
    assert sorted(ends) == sorted((start.operation_id, start.number) for start in fleet.recorder.starts)


# --- a server that goes ------------------------------------------------------------------------------------


async def test_a_server_that_is_stopped_in_the_middle_costs_nothing(fleet: Fleet) -> None:
    await fleet.start({}, {})
    client = await fleet.connect()
    async with await client.open_stream(ECHO, operation_id="op") as session:
        assert isinstance(session, MovingSession)
        first = fleet.at(session)
        for text in "abc":
            await session.send(Text(text))
        assert await hear(session, 3) == echoes("abc")
        await first.stop()
        assert await talk(session, "defgh") == echoes("defgh", 3)
        assert session.moves == 1
        second = fleet.at(session)
    assert second is not first
    # The last one answered is sent again, as it might have had more results.
    assert fleet.chunks(second) == [2, 3, 4, 5, 6, 7]
    assert [record.number for record in fleet.recorder.attempts] == [1, 2]
    assert [str(record.outcome) for record in fleet.recorder.attempts] == ["failure", "success"]
    assert len(fleet.recorder.operations) == 1
    ids = {
        entry.operation_id for fake in fleet.fakes.values() for entry in fake.journal.entries(Kind.RECEIVED)
    }
    assert "op" in ids


async def test_a_server_that_is_stopped_while_its_caller_only_listens(fleet: Fleet) -> None:
    await fleet.start({}, {})
    client = await fleet.connect()
    async with await client.open_stream(pipeline("Delay", delay_ms=300)) as session:
        first = fleet.at(session)
        await session.send(Text("x"))
        listening = asyncio.create_task(session.receive())
        await first.journal.wait_for(lambda entry: entry.kind is Kind.CHUNK, timeout_s=10.0)
        await first.stop()
        result = await listening
        assert result is not None
        assert (result.sequence, result.output) == (0, Text("x"))
        assert await rest(session) == []


async def test_two_servers_that_go_one_after_the_other(fleet: Fleet) -> None:
    await fleet.start({}, {}, {})
    client = await fleet.connect()
    async with await client.open_stream(ECHO) as session:
        assert isinstance(session, MovingSession)
        for number in range(3):
            await session.send(Text(str(number)))
            assert await hear(session, 1) == [(number, Text(str(number)))]
            if number < 2:
                await fleet.at(session).stop()
        assert session.moves == 2
        assert await rest(session) == []


async def test_when_all_servers_are_gone_the_error_says_how_far_it_came(fleet: Fleet) -> None:
    await fleet.start({}, {})
    client = await fleet.connect()
    async with await client.open_stream(ECHO) as session:
        for text in "ab":
            await session.send(Text(text))
        assert await hear(session, 2) == echoes("ab")
        async with asyncio.TaskGroup() as tasks:
            for fake in fleet.fakes.values():
                tasks.create_task(fake.stop())
        with pytest.raises(StreamBroken) as caught:
            while True:
                await session.send(Text("c"))
                await session.receive()
        error = caught.value
        assert error.last_sequence == 1
        assert "chunk 1 was the last one answered" in str(error)
        assert {attempt.endpoint for attempt in error.attempts} == set(fleet.fakes)
        assert error.hint


async def test_without_repeatable_the_caller_is_told_how_far_it_came(fleet: Fleet) -> None:
    await fleet.start({}, {})
    client = await fleet.connect()
    async with await client.open_stream(ECHO, repeatable=False) as session:
        for text in "ab":
            await session.send(Text(text))
        assert await hear(session, 2) == echoes("ab")
        await fleet.at(session).stop()
        with pytest.raises(RpeError) as caught:
            while True:
                await session.receive()
        assert isinstance(caught.value, StreamBroken)
        assert caught.value.last_sequence == 1
    assert client.statistics().moves == 0


# --- a session that is cut ---------------------------------------------------------------------------------

CUTS: Mapping[str, Mapping[str, Any]] = {
    "reset": {"cut_after": 5, "how": "reset"},
    "end": {"cut_after": 5, "how": "end"},
    "unavailable": {"cut_after": 5, "how": "status", "status": "unavailable"},
    "overloaded": {"cut_after": 5, "how": "status", "status": "resource_exhausted"},
    "failed": {"error_after": 5},
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
async def test_a_session_that_is_cut_goes_on_elsewhere(fleet: Fleet, cut: Mapping[str, Any]) -> None:
    await fleet.start({"stream": cut}, {"stream": cut}, {})
    client = await fleet.connect()
    texts = [str(number) for number in range(40)]
    for _ in range(3):  # one of them begins at each
        async with await client.open_stream(ECHO) as session:
            assert await talk(session, texts) == echoes(texts)
    assert client.statistics().moves >= 2


async def test_a_session_that_falls_silent_goes_on_elsewhere_where_it_is_watched(fleet: Fleet) -> None:
    silence = {"stream": {"cut_after": 3, "how": "silence"}}
    await fleet.start(silence, silence, {})
    client = await fleet.connect(_but(stream_stall_timeout_s=0.4))
    texts = [str(number) for number in range(10)]
    async with await client.open_stream(ECHO) as session:
        assert await talk(session, texts) == echoes(texts)
    assert "nothing came" in " ".join(str(record.error) for record in fleet.recorder.attempts)


async def test_a_refused_token_ends_it_where_there_is_no_other(fleet: Fleet) -> None:
    cut = {"token": "t", "stream": {"cut_after": 2, "how": "status", "status": "unauthenticated"}}
    await fleet.start(cut, cut)
    client = await fleet.connect(token="t")
    async with await client.open_stream(ECHO) as session:
        with pytest.raises(AuthenticationFailed) as caught:
            await _one_by_one(session, 10)
    assert "chunk 1 was the last one answered" in str(caught.value)
    assert len(fleet.recorder.attempts) == 1
    assert str(fleet.recorder.attempts[0].outcome) == "neutral"


async def test_a_token_that_expires_in_the_middle_is_replaced_and_the_session_goes_on(fleet: Fleet) -> None:
    """The server cuts the session as one does whose caller's token has expired; the next one is good."""
    tokens = ["first", "second"]

    class Rotating:
        async def token(self) -> str:
            return tokens[0]

        def refused(self, token: str) -> bool:
            if token == "first" and tokens[0] == "first":
                tokens.pop(0)
            return token != tokens[0]

    cut = {"token": "first", "stream": {"cut_after": 2, "how": "status", "status": "unauthenticated"}}
    await fleet.start(cut, cut)
    client = await fleet.connect(token=Rotating())
    async with await client.open_stream(ECHO) as session:
        assert isinstance(session, MovingSession)
        assert await _one_by_one(session, 2) == echoes(["0", "1"])
        for fake in fleet.fakes.values():
            await fake.set_behaviour({"token": "second"})
        # What is received says why a session ends; a chunk that meets the end is told less.
        listening = asyncio.create_task(session.receive())
        for _ in range(500):
            if session.moves:
                break
            await asyncio.sleep(0.01)
        await session.send(Text("2"))
        result = await listening
        assert result is not None and result.output == Text("2")
        assert await talk(session, "de") == echoes("de", 3)
        assert session.moves == 1
    assert [str(record.outcome) for record in fleet.recorder.attempts] == ["neutral", "success"]


async def _one_by_one(session: StreamSession, count: int) -> list[tuple[int, RuntimeData]]:
    heard = []
    for number in range(count):
        await session.send(Text(str(number)))
        heard += await hear(session, 1)
    return heard


def _but(**changes: Any) -> ClientSettings:
    return replace(SETTINGS, **changes)


# --- what pipelines answer ---------------------------------------------------------------------------------


@pytest.mark.parametrize("after", range(1, 8))
async def test_chunks_with_several_results_or_none_are_neither_lost_nor_doubled(
    fleet: Fleet, after: int
) -> None:
    cut = {"stream": {"cut_after": after, "how": "end"}}
    await fleet.start(cut, {})
    client = await fleet.connect()
    words = ["abc", "", "", "de", "", "f", "g", ""]
    expected = [(number, Text(letter)) for number, word in enumerate(words) for letter in word]
    for _ in range(2):  # one of them begins where it is cut
        async with await client.open_stream(pipeline("Letters")) as session:
            assert await talk(session, words) == expected
    assert client.statistics().moves == 1


async def test_a_session_that_dies_after_finish_is_finished_elsewhere(fleet: Fleet) -> None:
    cut = {"stream": {"cut_after": 2, "how": "end"}, "latency": {"fixed_s": 0.05}}
    await fleet.start(cut, {})
    client = await fleet.connect()
    for _ in range(2):
        async with await client.open_stream(ECHO) as session:
            for text in "abcd":
                await session.send(Text(text))
            await session.finish()
            assert read([result async for result in session]) == echoes("abcd")
    assert client.statistics().moves == 1


async def test_a_pipeline_that_fails_on_a_chunk_does_not_wander_for_ever(fleet: Fleet) -> None:
    await fleet.start({}, {})
    client = await fleet.connect()
    async with await client.open_stream(pipeline("Fragile")) as session:
        await session.send(Text("fine"))
        await session.send(Text("poison"))
        assert await hear(session, 1) == [(0, Text("fine"))]
        with pytest.raises(StreamBroken, match="poison") as caught:
            await session.receive()
    assert caught.value.last_sequence == 0
    assert len(fleet.recorder.attempts) == len(caught.value.attempts) == 1 + SETTINGS.retry.max_retries


async def test_a_pipeline_that_does_not_exist_is_told_at_the_opening(fleet: Fleet) -> None:
    await fleet.start({}, {})
    client = await fleet.connect()
    with pytest.raises((InvalidRequest, RemoteExecutionFailed)):
        await client.open_stream(pipeline("NoSuchNode"))


# --- pace --------------------------------------------------------------------------------------------------


async def test_a_slow_server_is_not_run_over(fleet: Fleet) -> None:
    await fleet.start({"latency": {"fixed_s": 0.01}})
    client = await fleet.connect(_but(replay_chunks=4))
    sent = 0
    async with await client.open_stream(ECHO) as session:

        async def send() -> None:
            nonlocal sent
            for number in range(20):
                await session.send(Text(str(number)))
                sent += 1
            await session.finish()

        sending = asyncio.create_task(send())
        heard = 0
        async for result in session:
            assert result.sequence == heard
            heard += 1
            assert sent <= heard + 4
        await sending
        assert heard == 20


async def test_a_server_that_goes_while_the_buffer_is_full(fleet: Fleet) -> None:
    slow = {"latency": {"fixed_s": 0.05}}
    await fleet.start(slow, slow)
    client = await fleet.connect(_but(replay_chunks=2))
    texts = [str(number) for number in range(12)]
    async with await client.open_stream(ECHO) as session:
        first = fleet.at(session)

        async def stop() -> None:
            await first.journal.wait_for(lambda entry: entry.sequence == 4, timeout_s=10.0)
            await first.stop()

        stopping = asyncio.create_task(stop())
        assert await talk(session, texts) == echoes(texts)
        await stopping
    assert client.statistics().moves == 1


WAYS: Mapping[str, Callable[[StreamSession], Any]] = {
    "cancel": lambda session: session.cancel(),
    "leave": lambda session: session.__aexit__(None, None, None),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
async def test_walking_away_reaches_the_server_and_blames_nobody(
    fleet: Fleet, way: Callable[[StreamSession], Any]
) -> None:
    await fleet.start({})
    client = await fleet.connect()
    session = await client.open_stream(pipeline("Delay", delay_ms=60_000))
    await session.send(Text("x"))
    (fake,) = fleet.fakes.values()
    await fake.journal.wait_for(lambda entry: entry.kind is Kind.CHUNK, timeout_s=10.0)
    left = way(session)
    if left is not None:
        await left
    ended = await fake.journal.wait_for(
        lambda entry: entry.kind in (Kind.CANCELLED, Kind.SENT, Kind.FAILED) and entry.method == "stream",
        timeout_s=10.0,
    )
    assert ended.kind is Kind.CANCELLED
    with pytest.raises(SessionClosed):
        await session.receive()
    assert [str(record.outcome) for record in fleet.recorder.attempts] == ["neutral"]
