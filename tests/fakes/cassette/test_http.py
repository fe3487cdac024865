"""HTTP, recorded from a server and replayed: bodies in pieces, event streams, and what breaks off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from rpe.fakes.cassette import Recorder, Replay, read_cassette
from rpe.fakes.cassette.listening import Listening
from rpe.transport.http.running import break_off

Serve = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    server = Listening(serve, host="127.0.0.1", port=0)
    await server.start()
    try:
        yield f"http://{server.endpoint}"
    finally:
        await server.stop()


@asynccontextmanager
async def recording(serve: Serve, cassette: Path, **options: Any) -> AsyncIterator[str]:
    async with serving(serve) as upstream, Recorder(upstream, path=cassette, **options) as recorder:
        yield f"http://{recorder.endpoint}"


@asynccontextmanager
async def replaying(cassette: Path, **options: Any) -> AsyncIterator[tuple[Replay, str]]:
    options.setdefault("speed", 0)
    async with Replay(cassette, **options) as replay:
        yield replay, f"http://{replay.endpoint}"


async def ask(url: str, method: str = "GET", **options: Any) -> tuple[int, dict[str, str], bytes]:
    """One request: its status, headers and body. What broke off raises."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
        session.request(method, url, **options) as answer,
    ):
        kept = {key: value for key, value in answer.headers.items() if key not in ("Date", "Server")}
        return answer.status, kept, await answer.read()


async def pieces(url: str) -> tuple[list[bytes], str]:
    """Read what comes, as it comes, and how that ended."""
    got: list[bytes] = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        session._retry_connection = False  # an honest count
        try:
            async with session.get(url) as answer:
                async for data in answer.content.iter_any():
                    got.append(data)
        except aiohttp.ClientError as error:
            return got, type(error).__name__
    return got, "complete"


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    body = await request.read()
    answer = web.Response(status=201, reason="Made", body=request.method.encode() + b" " + body)
    answer.headers["X-Path"] = request.raw_path
    return answer


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/a/b?x=1&y=%20", None),
        ("POST", "/a", b'{"x": 1}'),
        ("PUT", "/a", b"\xff\x00" * 40_000),
        ("DELETE", "/", b""),
        ("HEAD", "/a", None),
        ("PROPFIND", "/a", b"<x/>"),
    ],
)
async def test_any_request_is_recorded_and_replayed(
    cassette: Path, method: str, path: str, body: bytes | None
) -> None:
    async with recording(echo, cassette) as recorder:
        live = await ask(recorder + path, method, data=body)
    assert live[:2] == (201, live[1]) and live[1]["X-Path"] == path
    [call] = read_cassette(cassette).calls
    assert (call.method, call.head.path, b"".join(call.requests)) == (method, path, body or b"")
    assert call.headers is not None and (call.headers.status, call.headers.reason) == (201, "Made")
    async with replaying(cassette) as (replay, url):
        assert await ask(url + path, method, data=body) == live
        assert replay.calls[0].by == "content"


async def events(request: web.BaseRequest) -> web.StreamResponse:
    """Three events with a pause between the first two, in pieces that cut them anywhere."""
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    await answer.write(b"data: 1\n\n")
    await asyncio.sleep(0.1)
    await answer.write(b"id: 2\r\ndata: 2\r\n\r\nda")
    await answer.write(b"ta: 3\n\n: still here\n\n")
    await answer.write_eof()
    return answer


async def test_events_come_as_they_are_sent_and_are_kept_one_by_one(cassette: Path) -> None:
    async with (
        recording(events, cassette) as recorder,
        aiohttp.ClientSession() as session,
        session.get(recorder) as answer,
    ):
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert "Content-Length" not in answer.headers
        assert await answer.content.readany() == b"data: 1\n\n"
        assert not answer.content.is_eof()
        await answer.read()
    [call] = read_cassette(cassette).calls
    assert call.answers == [
        b"data: 1\n\n",
        b"id: 2\r\ndata: 2\r\n\r\n",
        b"data: 3\n\n",
        b": still here\n\n",
    ]
    times = [event.told.at_s for event in call.events if event.told.event == "answer"]
    assert times[1] - times[0] > 0.05
    async with replaying(cassette) as (_, url):
        got, ended = await pieces(url)
    assert (b"".join(got), ended) == (b"".join(call.answers), "complete")


async def breaking(request: web.BaseRequest) -> web.StreamResponse:
    answer = web.StreamResponse()
    if request.path.startswith("/long"):
        answer.content_length = 100
    if request.path != "/early":
        await answer.prepare(request)
        await answer.write(b"some")
        await asyncio.sleep(0.02)
    await break_off(request, reset=request.path.endswith("reset"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "how", "got"),
    [
        ("/chunks", "lost", [b"some"]),
        ("/chunks/reset", "reset", [b"some"]),
        ("/long", "lost", [b"some"]),
        ("/early", "lost", []),
    ],
)
async def test_what_breaks_off_is_recorded_and_replayed_as_broken(
    cassette: Path, path: str, how: str, got: list[bytes]
) -> None:
    async with recording(breaking, cassette) as recorder:
        live = await pieces(recorder + path)
    assert live[0] == got and live[1] != "complete"
    [call] = read_cassette(cassette).calls
    assert call.end is not None and call.end.how == how
    async with replaying(cassette) as (replay, url):
        assert await pieces(url + path) == live
        assert replay.calls[0].ended == how


async def test_a_caller_that_gives_up_is_recorded_and_ends_the_answer(cassette: Path) -> None:
    ended = asyncio.Event()

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b"data: 1\n\ndata: ha")
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()
        return answer

    async with recording(endless, cassette) as recorder:
        async with aiohttp.ClientSession() as session, session.get(recorder) as answer:
            await answer.content.readany()
            answer.close()
        async with asyncio.timeout(5):
            await ended.wait()
        await asyncio.sleep(0.01)
    [call] = read_cassette(cassette).calls
    assert call.answers == [b"data: 1\n\n", b"data: ha"]
    assert call.end is not None and call.end.how == "cancelled"
    async with replaying(cassette) as (_, url):
        got, how = await pieces(url)
        assert b"".join(got) == b"data: 1\n\ndata: ha" and how != "complete"


async def test_a_server_that_is_not_there_is_a_bad_gateway(cassette: Path) -> None:
    async with serving(echo) as gone:
        pass
    async with Recorder(gone, path=cassette) as recorder:
        live = await ask(f"http://{recorder.endpoint}/x")
    assert live[0] == 502 and b"no connection" in live[2]
    async with replaying(cassette) as (_, url):
        assert (await ask(f"{url}/x"))[0] == 502


async def test_a_call_without_an_end_breaks_off(cassette: Path) -> None:
    async with recording(echo, cassette) as recorder:
        await ask(recorder + "/x", "POST", data=b"1")
    lines = cassette.read_text().splitlines(keepends=True)  # noqa: ASYNC240
    cassette.write_text("".join(lines[:-1]))  # noqa: ASYNC240
    async with replaying(cassette) as (replay, url):
        with pytest.raises(aiohttp.ClientError):
            await ask(url + "/x", "POST", data=b"1")
        assert replay.calls[0].ended == "unfinished"


async def test_what_was_not_recorded_is_404_with_what_is_near(cassette: Path) -> None:
    async with recording(echo, cassette) as recorder:
        await ask(recorder + "/items/1")
    async with replaying(cassette) as (_, url):
        status, _, body = await ask(url + "/items/2")
        assert (status, body) == (404, b"rpe fake replay: it was not recorded; what was: GET /items/1\n")


async def test_bodies_choose_among_recordings(cassette: Path) -> None:
    async with recording(echo, cassette) as recorder:
        for body in (b"1", b"2", b"3"):
            await ask(recorder + "/x", "POST", data=body)
    async with replaying(cassette) as (_, url):
        for body in (b"3", b"1", b"2"):
            assert (await ask(url + "/x", "POST", data=body))[2] == b"POST " + body


async def test_a_body_travels_while_it_is_sent(cassette: Path) -> None:
    async def double(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        async for data in request.content.iter_any():
            await answer.write(data * 2)
        await answer.write_eof()
        return answer

    async def talk(url: str) -> list[bytes]:
        got: asyncio.Queue[bytes] = asyncio.Queue()

        async def body() -> AsyncIterator[bytes]:
            yield b"a"
            assert await got.get() == b"aa"
            yield b"b"

        heard = []
        async with aiohttp.ClientSession() as session, session.post(url, data=body()) as answer:
            async for data in answer.content.iter_any():
                heard.append(data)
                got.put_nowait(data)
        return heard

    async with asyncio.timeout(5):
        async with recording(double, cassette) as recorder:
            assert await talk(recorder) == [b"aa", b"bb"]
        async with replaying(cassette) as (_, url):
            assert await talk(url) == [b"aa", b"bb"]


async def test_an_event_waits_for_the_request_that_it_answered(cassette: Path) -> None:
    cassette.write_text(  # noqa: ASYNC240
        '{"cassette": 1, "wire": "http", "upstream": "http://a:1"}\n'
        '{"call": 1, "event": "call", "began_s": 0, "method": "GET", "path": "/s/1/output"}\n'
        '{"call": 1, "event": "half_close", "at_s": 0}\n'
        '{"call": 1, "event": "headers", "at_s": 0, "status": 200,'
        ' "metadata": [["Content-Type", "text/event-stream"]]}\n'
        '{"call": 2, "event": "call", "began_s": 1, "method": "POST", "path": "/s/1/input"}\n'
        '{"call": 2, "event": "request", "at_s": 0, "text": "x"}\n'
        '{"call": 2, "event": "half_close", "at_s": 0}\n'
        '{"call": 2, "event": "headers", "at_s": 0, "status": 200}\n'
        '{"call": 2, "event": "end", "at_s": 0, "how": "complete"}\n'
        '{"call": 1, "event": "answer", "at_s": 1.5, "text": "data: 1\\n\\n"}\n'
        '{"call": 1, "event": "end", "at_s": 1.6, "how": "complete"}\n'
    )
    async with (
        replaying(cassette) as (_, url),
        aiohttp.ClientSession() as session,
        session.get(f"{url}/s/1/output") as output,
    ):
        event = asyncio.create_task(output.read())
        await asyncio.sleep(0.03)
        assert not event.done()
        assert (await ask(f"{url}/s/1/input", "POST", data=b"x"))[0] == 200
        assert await event == b"data: 1\n\n"
