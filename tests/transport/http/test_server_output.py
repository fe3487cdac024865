"""The output of a session of the HTTP server: read on, read again, disturbed, and not read at all."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from rpe.data import Text
from rpe.transport.serving import (
    Damage,
    ServerSession,
)
from tests.support.handlers import Handler, serve_http
from tests.support.http_caller import calling, read_event, read_events, text
from tests.support.scripted_session import Scripted, close, one, said


async def test_a_silent_output_has_comments() -> None:
    async with serve_http(Handler(), comment_s=0.03) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        async with caller.output(key) as output:
            for _ in range(3):
                assert await read_event(output) == {"": ""}


async def test_an_output_is_taken_up_where_it_broke() -> None:
    handler = Scripted(*(one(f"r{n}", sequence=n) for n in range(5)))
    handler.go.set()
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        async with caller.output(key) as output:
            ids = [(await read_event(output))["id"] for _ in range(3)]
        async with caller.output(key, Last_Event_ID=ids[1]) as output:
            assert [said(await read_event(output)) for _ in range(3)] == ["r2", "r3", "r4"]
            await close(caller, key)
            assert await read_events(output) == []
        async with caller.output(key) as output:  # what was acknowledged is no longer kept
            assert [said(event) for event in await read_events(output)] == ["r2", "r3", "r4"]


@pytest.mark.parametrize("position", ["99", "-1", "first", "9" * 100])
async def test_a_position_that_never_was_is_refused(position: str) -> None:
    async with serve_http(Handler()) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        async with caller.output(key, Last_Event_ID=position) as output:
            assert output.status == 410


async def test_a_second_reader_takes_over_from_the_first() -> None:
    async with serve_http(Handler()) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        async with caller.output(key) as first:
            await caller.put(key, "a", 0)
            assert said(await read_event(first)) == "a"
            async with caller.output(key) as second:
                with pytest.raises(aiohttp.ClientError):
                    await read_events(first)
                await caller.put(key, "b", 1)
                assert [said(await read_event(second)) for _ in range(2)] == ["a", "b"]


async def test_several_outputs_are_several_events_of_one_result() -> None:
    handler = Scripted((3, {"up": Text("A"), "down": Text("a")}, None))
    handler.go.set()
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        async with caller.output(key) as output:
            events = [json.loads((await read_event(output))["data"]) for _ in range(2)]
    assert events == [text("A", 3, rpe_output="up", rpe_more="1"), text("a", 3, rpe_output="down")]


@pytest.mark.parametrize(
    ("damage", "order"),
    [
        (Damage.DUPLICATE, ["a", "b", "b", "c"]),
        (Damage.LATE, ["a", "c", "b"]),
        (Damage.SLOW, ["a", "b", "c"]),
        (Damage.EMPTY, ["a", None, "c"]),
        (Damage.TRUNCATED, ["a", None, "c"]),
        (Damage.BAD_UTF8, ["a", None, "c"]),
    ],
    ids=lambda value: str(value)[:9],
)
async def test_events_are_disturbed_one_by_one(damage: Damage, order: list[str | None]) -> None:
    handler = Scripted(one("a"), one("b", damage, 1), one("c", None, 2))
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        async with caller.output(key) as output:
            began_s = asyncio.get_running_loop().time()
            handler.go.set()
            events = [await read_event(output) for _ in order]
            took_s = asyncio.get_running_loop().time() - began_s
            await close(caller, key)
            assert await read_events(output) == []
    for event, wanted in zip(events, order, strict=True):
        if wanted is not None:
            assert said(event) == wanted
        else:
            with pytest.raises((ValueError, KeyError)):
                said(event)
    if damage is Damage.SLOW:
        assert took_s >= 0.1
    if damage is Damage.DUPLICATE:
        assert events[1]["id"] == events[2]["id"]


async def test_a_late_event_that_nothing_follows_comes_all_the_same() -> None:
    handler = Scripted(one("a", Damage.LATE))
    handler.go.set()
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        async with caller.output(key) as output:
            assert said(await read_event(output)) == "a"


async def test_a_late_event_is_not_lost_at_the_end() -> None:
    handler = Scripted(one("a"), one("b", Damage.LATE))
    handler.go.set()
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        await close(caller, key)
        async with caller.output(key) as output:
            assert [said(event) for event in await read_events(output)] == ["a", "b"]


async def test_an_output_that_is_cut_in_an_event_gives_it_whole_when_it_is_taken_up() -> None:
    handler = Scripted(one("a"), one("b", Damage.CUT_BODY, 1), one("c", None, 2))
    handler.go.set()
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        async with caller.output(key) as output:
            last = (await read_event(output))["id"]
            with pytest.raises(aiohttp.ClientError):
                await read_events(output)
        async with caller.output(key, Last_Event_ID=last) as output:
            assert [said(await read_event(output)) for _ in range(2)] == ["b", "c"]


async def test_a_handler_that_does_not_read_makes_the_caller_wait() -> None:
    handler = Handler()
    handler.busy_s = 60
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        async with caller.output(key):
            taken = 0
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    for sequence in range(400):
                        await caller.put(key, "x", sequence)
                        taken += 1
            assert taken == 16
            waiting = asyncio.create_task(caller.put(key, "x", 400))
            await asyncio.sleep(0.05)
            await close(caller, key, rpe_cancel="1")
            async with asyncio.timeout(5):
                assert (await waiting)[0] == 409


async def test_a_caller_that_does_not_read_makes_the_handler_wait() -> None:
    class Chatty(Scripted):
        sent = 0

        async def talk(self, session: ServerSession) -> None:
            await session.ready("s-1")
            for sequence in range(1000):
                await session.send(sequence, {"output": Text("x" * 100_000)})
                self.sent += 1

    handler = Chatty()
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        await asyncio.sleep(0.05)
        assert handler.sent == 16
        async with caller.output(key):
            await asyncio.sleep(0.2)
            assert 16 < handler.sent < 400
