"""What breaks on the wire breaks the same way when it is replayed, and never ends well."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rpe.fakes.cassette import Recorder, Replay, read_cassette
from rpe.fakes.mouth import RawCall, RawGrpcServer
from rpe.transport.serving import Refusal, StatusCode
from tests.fakes.cassette.calling import Heard, ask, channel_to

Open = Callable[..., Any]


async def echo(call: RawCall) -> None:
    while (message := await call.read()) is not None:
        await call.send(message)


async def heard_from(endpoint: str) -> Heard:
    async with channel_to(endpoint) as channel:
        return await ask(channel, "/a.B/C", [b"1", b"2"], lockstep=1)


def words(details: str) -> str:
    """A text of gRPC's without what it wraps around it."""
    return details.removeprefix("Stream removed (").rstrip(")")


@pytest.mark.parametrize(
    ("fault", "how", "number"),
    [
        ({"kind": "reset", "code": 7, "after_messages": 1}, "reset", 7),
        ({"kind": "reset", "code": 0}, "reset", 0),
        ({"kind": "reset", "code": 11, "after_messages": None}, "reset", 11),
        ({"kind": "cut_frame", "after_messages": 1}, "lost", None),
        ({"kind": "cut_frame", "reset": True}, "lost", None),
        ({"kind": "goaway"}, "lost", None),
        ({"kind": "no_trailers", "after_messages": None}, "no_trailers", None),
        ({"kind": "http_status", "code": 503}, "http_status", 503),
        ({"kind": "status", "after_messages": 1}, "status", None),
        ({"kind": "status", "status": 6}, "status", None),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value),
)
async def test_a_break_is_recorded_and_replayed(
    cassette: Path, fault: dict[str, Any], how: str, number: int | None
) -> None:
    async with RawGrpcServer({"calls": [fault]}, echo) as server:
        direct = await heard_from(server.endpoint)
    async with (
        RawGrpcServer({"calls": [fault]}, echo) as server,
        Recorder(f"grpc://{server.endpoint}", path=cassette) as recorder,
    ):
        recorded = await heard_from(recorder.endpoint)
    [call] = read_cassette(cassette).calls
    assert call.end is not None and (call.end.how, call.end.number) == (how, number)
    async with Replay(cassette, speed=0) as replay:
        replayed = await heard_from(replay.endpoint)
    assert direct.code != "OK"
    assert recorded.code == replayed.code == direct.code
    assert direct.messages == recorded.messages == replayed.messages
    if how != "lost":  # of which gRPC does not tell by the same words each time
        assert words(replayed.details) == words(direct.details)


async def test_a_server_that_is_not_there_is_told_and_replayed(cassette: Path) -> None:
    async with RawGrpcServer(None, echo) as server:
        gone = server.endpoint
    async with Recorder(f"grpc://{gone}", path=cassette) as recorder:
        live = await heard_from(recorder.endpoint)
    assert live.code == "UNAVAILABLE"
    [call] = read_cassette(cassette).calls
    assert call.end is not None and call.end.how == "unreached"
    async with Replay(cassette, speed=0) as replay:
        assert await heard_from(replay.endpoint) == live


async def test_a_recorder_that_ends_leaves_its_calls_unfinished_and_no_task(cassette: Path) -> None:
    async with RawGrpcServer(None, echo) as server:
        before = asyncio.all_tasks()
        recorder = Recorder(f"grpc://{server.endpoint}", path=cassette)
        await recorder.start()
        async with channel_to(recorder.endpoint) as channel:
            call: Any = channel.stream_stream("/a.B/C")(timeout=5)
            await call.write(b"1")
            assert await call.read() == b"1"
            await recorder.stop()
            assert (await call.code()).name == "UNAVAILABLE"
        left = [task for task in asyncio.all_tasks() - before if "Recording" in repr(task.get_coro())]
        assert left == []
    [told] = read_cassette(cassette).calls
    assert told.end is None and told.answers == [b"1"]


async def test_a_call_without_an_end_is_replayed_as_a_broken_one(cassette: Path, replaying: Open) -> None:
    async with (
        RawGrpcServer(None, echo) as server,
        Recorder(f"grpc://{server.endpoint}", path=cassette) as recorder,
        channel_to(recorder.endpoint) as channel,
    ):
        call: Any = channel.stream_stream("/a.B/C")(timeout=5)
        await call.write(b"1")
        assert await call.read() == b"1"
        kept = cassette.read_text()  # noqa: ASYNC240
        call.cancel()
    cassette.write_text(kept + '{"call": 1, "event": "ans')  # noqa: ASYNC240
    read = read_cassette(cassette)
    assert [found.number for found in read.unfinished] == [1]
    async with replaying() as (replay, channel):
        heard = await ask(channel, "/a.B/C", [b"1"])
        assert (heard.messages, heard.code) == ([b"1"], "INTERNAL")
        assert replay.calls[0].ended == "unfinished"


async def test_a_status_that_comes_before_the_requests_are_taken_is_kept(cassette: Path) -> None:
    async def refuse(call: RawCall) -> None:
        raise Refusal(StatusCode.PERMISSION_DENIED, "not you")

    async with (
        RawGrpcServer(None, refuse) as server,
        Recorder(f"grpc://{server.endpoint}", path=cassette) as recorder,
    ):
        for _ in range(10):
            await heard_from(recorder.endpoint)
    ends = [call.end for call in read_cassette(cassette).calls]
    assert {(end.code, end.details) for end in ends if end} == {("PERMISSION_DENIED", "not you")}


async def test_what_was_not_recorded_is_refused_with_what_is_near(cassette: Path, replaying: Open) -> None:
    async with (
        RawGrpcServer(None, echo) as server,
        Recorder(f"grpc://{server.endpoint}", path=cassette) as recorder,
    ):
        await heard_from(recorder.endpoint)
    async with replaying(match="content") as (replay, channel):
        heard = await ask(channel, "/a.B/D", [b"1"])
        assert heard.code == "UNIMPLEMENTED"
        assert heard.details == "rpe fake replay: it was not recorded; what was: /a.B/C"
        heard = await ask(channel, "/a.B/C", [b"other"])
        assert heard.code == "UNIMPLEMENTED" and "none of them with this request" in heard.details
        assert [played.recorded for played in replay.calls] == [None, None]


async def test_recordings_are_taken_in_turn_by_content_and_by_order(cassette: Path, replaying: Open) -> None:
    count = 0

    async def counting(call: RawCall) -> bytes:
        nonlocal count
        count += 1
        return (await call.read() or b"") + str(count).encode()

    async def one(channel: Any, request: bytes) -> bytes:
        return (await ask(channel, "/a.B/C", [request], kind="unary_unary")).messages[0]

    async with (
        RawGrpcServer(None, counting) as server,
        Recorder(f"grpc://{server.endpoint}", path=cassette) as recorder,
        channel_to(recorder.endpoint) as channel,
    ):
        assert [await one(channel, request) for request in (b"a", b"b", b"a")] == [b"a1", b"b2", b"a3"]
    async with replaying() as (replay, channel):
        got = [await one(channel, request) for request in (b"b", b"a", b"a", b"a", b"new")]
        assert got == [b"b2", b"a1", b"a3", b"a3", b"a3"]
        assert [played.by for played in replay.calls] == ["content"] * 4 + ["order"]
        assert replay.calls[4].notes == ["the request is not the recorded one"]
        replay.reset()
        assert await one(channel, b"a") == b"a1"
    async with replaying(match="order") as (_, channel):
        assert [await one(channel, request) for request in (b"x", b"y", b"z")] == [b"a1", b"b2", b"a3"]
