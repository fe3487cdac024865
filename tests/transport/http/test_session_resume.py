"""Sessions of the HTTP client whose output breaks: taken up again where the server numbers its events."""

from __future__ import annotations

import asyncio

import pytest

from rpe.errors import (
    SessionClosed,
    StreamBroken,
)
from tests.support.foreign import Foreign, event, received, says, send, session_with
from tests.support.raw_http import Conversation, Request, answer


@pytest.mark.parametrize("then", ["break", "reset", "wait"])
async def test_an_output_with_numbered_events_is_taken_up_again(then: str) -> None:
    first = says(event("a", 0, id="41"), event("b", 1, id="x42"), then=then)
    second = says(event("b", 1, id="x42"), event("c", 2, id="43"), then="break")
    third = says(event("d", 3, id="44"), then="end")
    async with session_with(Foreign(first, second, third), silence_s=0.2, reconnects=2) as (session, seen):
        await send(session, 4)
        await session.finish()
        assert await received(session) == [(0, "a"), (1, "b"), (2, "c"), (3, "d")]
    asked = [request.headers.get("last-event-id") for request in seen if request.method == "GET"]
    assert asked == [None, "x42", "43"]


async def test_an_event_that_comes_twice_counts_once() -> None:
    output = says(event("a", 0, id="1"), event("a", 0, id="1"), event("b", 1, id="2"), then="end")
    async with session_with(Foreign(output)) as (session, _):
        await send(session, 2)
        await session.finish()
        assert await received(session) == [(0, "a"), (1, "b")]


async def test_half_an_event_is_lost_with_its_connection() -> None:
    whole = event("b", 1, id="2")
    first = says(event("a", 0, id="1"), whole[: len(whole) - 10], then="break")
    async with session_with(Foreign(first, says(whole, then="end"))) as (session, _):
        await send(session, 2)
        await session.finish()
        assert await received(session) == [(0, "a"), (1, "b")]


@pytest.mark.parametrize("reconnects", [0, 2])
async def test_an_output_is_taken_up_again_so_often_and_no_more(reconnects: int) -> None:
    outputs = [says(event("a", 0, id="1"), then="break")] * 10
    async with session_with(Foreign(*outputs), reconnects=reconnects) as (session, seen):
        await send(session, 1)
        assert (await session.receive()) is not None
        with pytest.raises(StreamBroken) as caught:
            await session.receive()
        assert caught.value.last_sequence == 0
        assert sum(request.method == "GET" for request in seen) == 1 + reconnects


async def test_a_server_that_does_not_know_the_session_any_more_ends_it() -> None:
    async def gone(conversation: Conversation, request: Request) -> None:
        await conversation.say(answer(404, b"{}"))

    async with session_with(Foreign(says(event("a", 0, id="1"), then="break"), gone)) as (session, seen):
        await send(session, 1)
        assert (await session.receive()) is not None
        with pytest.raises(StreamBroken) as caught:
            await session.receive()
        assert caught.value.last_sequence == 0
        assert sum(request.method == "GET" for request in seen) == 2


async def test_the_server_says_how_long_to_wait_before_the_output_is_taken_up() -> None:
    first = says(b"retry: 200\n\n", event("a", 0, id="1"), then="break")
    async with session_with(Foreign(first, says(event("b", 1, id="2"), then="end"))) as (session, _):
        await send(session, 2)
        await session.finish()
        began_s = asyncio.get_running_loop().time()
        assert await received(session) == [(0, "a"), (1, "b")]
        assert asyncio.get_running_loop().time() - began_s >= 0.19


async def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    first = says(b"retry: 60000\n\n", event("a", 0, id="1"), then="break")
    async with session_with(Foreign(first)) as (session, _):
        await send(session, 1)
        assert (await session.receive()) is not None
        with pytest.raises(StreamBroken):
            await session.receive()


async def test_cancelling_while_the_output_is_taken_up() -> None:
    first = says(b"retry: 2000\n\n", event("a", 0, id="1"), then="break")
    async with session_with(Foreign(first)) as (session, _):
        await send(session, 1)
        assert (await session.receive()) is not None
        task = asyncio.create_task(session.receive())
        await asyncio.sleep(0.05)
        session.cancel()
        with pytest.raises(SessionClosed):
            await task
