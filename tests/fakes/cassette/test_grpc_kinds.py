"""All four kinds of method, recorded from a real service and replayed, by plain gRPC callers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from rpe.fakes.cassette import Recorder, read_cassette
from rpe.fakes.mouth import RawCall, RawGrpcServer
from tests.fakes.cassette.calling import ask, channel_to, name

Open = Callable[..., Any]
KINDS = {
    "Greet": ("unary_unary", ["ann"], 0),
    "List": ("unary_stream", ["ann"], 0),
    "Add": ("stream_unary", ["ann", "bob"], 0),
    "Chat": ("stream_stream", ["ann", "bob"], 2),
}


@pytest.mark.parametrize("method", KINDS)
async def test_a_kind_is_recorded_and_replayed(
    recording_hall: Open, replaying: Open, cassette: Path, method: str
) -> None:
    kind, texts, lockstep = KINDS[method]
    path, requests = f"/hall.v1.Hall/{method}", [name(text) for text in texts]
    async with recording_hall() as (_, channel):
        live = await ask(channel, path, requests, kind=kind, lockstep=lockstep)
    assert live.code == "OK" and live.messages
    [call] = read_cassette(cassette).calls
    assert (call.method, call.requests, call.answers) == (path, requests, live.messages)
    assert call.end is not None and (call.end.how, call.end.code) == ("status", "OK")
    async with replaying() as (replay, channel):
        for _ in range(2):  # the last recording stays
            assert await ask(channel, path, requests, kind=kind, lockstep=lockstep) == live
        assert [str(played) for played in replay.calls] == [
            f"{number} {path}: recording 1 by content; OK" for number in (1, 2)
        ]


async def test_events_stand_in_the_order_in_which_they_came(recording_hall: Open, cassette: Path) -> None:
    async with recording_hall() as (_, channel):
        await ask(channel, "/hall.v1.Hall/Chat", [name("a"), name("b")], lockstep=2)
    [call] = read_cassette(cassette).calls
    told = [event.told for event in call.events]
    assert [line.event for line in told if line.event != "headers"] == [
        *["request", "answer", "answer"] * 2,
        "half_close",
        "end",
    ]
    assert [line.at_s for line in told] == sorted(line.at_s for line in told)


async def test_a_failing_call_keeps_its_status(recording_hall: Open, replaying: Open) -> None:
    async with recording_hall() as (_, channel):
        live = await ask(channel, "/hall.v1.Hall/Greet", [name("nobody")], kind="unary_unary")
    assert (live.code, live.details) == ("NOT_FOUND", "no such guest: nobody")
    async with replaying() as (_, channel):
        assert await ask(channel, "/hall.v1.Hall/Greet", [name("nobody")], kind="unary_unary") == live


async def test_metadata_goes_both_ways_and_details_stay_bytes(cassette: Path, replaying: Open) -> None:
    got: list[tuple[str, Any]] = []

    async def answer(_: Any, context: Any) -> None:
        got.extend(context.invocation_metadata())
        await context.send_initial_metadata((("first", "1"), ("raw-bin", b"\x00\xff")))
        await context.write(b"x")
        context.set_trailing_metadata((("last", "2"), ("grpc-status-details-bin", b"\x08\x05\x00")))
        await context.abort(grpc.StatusCode.NOT_FOUND, "é: none", context.trailing_metadata())

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handler: Any = grpc.stream_stream_rpc_method_handler(answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.B", {"C": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with (
            Recorder(f"grpc://127.0.0.1:{port}", path=cassette) as recorder,
            channel_to(recorder.endpoint) as channel,
        ):
            sent = (("who", "me"), ("more-bin", b"\x01"))
            live = await ask(channel, "/a.B/C", [b""], metadata=sent)
    finally:
        await server.stop(None)
    assert set(sent) <= set(got)
    assert (live.code, live.details) == ("NOT_FOUND", "é: none")
    assert dict(live.trailing) == {"last": "2", "grpc-status-details-bin": b"\x08\x05\x00"}
    [call] = read_cassette(cassette).calls
    assert dict(call.metadata)["more-bin"] == "AQ"
    async with replaying() as (_, channel):
        again: Any = channel.stream_stream("/a.B/C")(timeout=5)
        await again.write(b"")
        await again.done_writing()
        assert dict(await again.initial_metadata()) == {"first": "1", "raw-bin": b"\x00\xff"}
        again.cancel()
        assert await ask(channel, "/a.B/C", [b""]) == live


async def test_a_caller_that_gives_up_reaches_the_server_and_the_cassette(
    cassette: Path, replaying: Open
) -> None:
    ended = asyncio.get_running_loop().create_future()

    async def answer(call: RawCall) -> None:
        while (message := await call.read()) is not None:
            await call.send(message)
        ended.set_result("half closed")

    async with (
        RawGrpcServer(None, answer) as server,
        Recorder(f"grpc://{server.endpoint}", path=cassette) as recorder,
        channel_to(recorder.endpoint) as channel,
    ):
        call: Any = channel.stream_stream("/a.B/C")(timeout=5)
        await call.write(b"1")
        assert await call.read() == b"1"
        call.cancel()
        await server.journal.wait_for(lambda entry: entry.kind.value == "cancelled")
        assert not ended.done()  # no end of the requests was made up
    [told] = read_cassette(cassette).calls
    assert told.end is not None and told.end.how == "cancelled"
    async with replaying() as (replay, channel):
        heard = await ask(channel, "/a.B/C", [b"1"])
        assert (heard.messages, heard.code) == ([b"1"], "CANCELLED")
        assert replay.calls[0].ended == "cancelled"


async def test_a_deadline_travels_and_is_replayed_as_one(cassette: Path, replaying: Open) -> None:
    left: list[float | None] = []

    async def answer(call: RawCall) -> None:
        left.append(call.remaining_s)
        await asyncio.get_running_loop().create_future()

    async with (
        RawGrpcServer(None, answer) as server,
        Recorder(f"grpc://{server.endpoint}", path=cassette) as recorder,
        channel_to(recorder.endpoint) as channel,
    ):
        live = await ask(channel, "/a.B/C", [b"1"], timeout=0.1)
        assert live.code == "DEADLINE_EXCEEDED"
        await asyncio.sleep(0.02)
    assert left[0] is not None and left[0] < 1
    [told] = read_cassette(cassette).calls
    assert told.end is not None and told.end.how == "deadline"
    async with replaying() as (_, channel):
        assert (await ask(channel, "/a.B/C", [b"1"], timeout=5)).code == "DEADLINE_EXCEEDED"


async def test_calls_may_run_at_the_same_time(recording_hall: Open, replaying: Open, cassette: Path) -> None:
    async def all_of(channel: Any) -> Any:
        texts = ["a", "b", "c", "d"]
        calls = [ask(channel, "/hall.v1.Hall/List", [name(text)], kind="unary_stream") for text in texts]
        return await asyncio.gather(*calls)

    async with recording_hall() as (_, channel):
        live = await all_of(channel)
    assert [len(call.answers) for call in read_cassette(cassette).calls] == [3] * 4
    async with replaying() as (_, channel):
        assert await all_of(channel) == live


async def test_a_server_that_speaks_first_is_not_waited_for(cassette: Path, replaying: Open) -> None:
    cassette.write_text(  # noqa: ASYNC240
        '{"cassette": 1, "wire": "grpc", "upstream": "grpc://a:1"}\n'
        '{"call": 1, "event": "call", "began_s": 0, "method": "/a.B/C"}\n'
        '{"call": 1, "event": "answer", "at_s": 0, "text": "welcome"}\n'
        '{"call": 1, "event": "request", "at_s": 0, "text": "hello"}\n'
        '{"call": 1, "event": "answer", "at_s": 0, "text": "bye"}\n'
        '{"call": 1, "event": "end", "at_s": 0, "how": "status", "code": "OK"}\n'
    )
    async with replaying() as (replay, channel):
        call: Any = channel.stream_stream("/a.B/C")(timeout=5)
        assert await call.read() == b"welcome"
        await call.write(b"hello")
        assert await call.read() == b"bye"
        assert await call.code() is grpc.StatusCode.OK
        assert replay.calls[0].by == "order"
