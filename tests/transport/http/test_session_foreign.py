"""Sessions of the HTTP client with servers that know the contract and nothing else, or not even that."""

from __future__ import annotations

import asyncio

import pytest

from rpe.data import Text
from rpe.errors import (
    ConnectionLost,
    InvalidRequest,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteOverloaded,
    RemoteTimeout,
    RemoteUnavailable,
    RpeError,
    StreamBroken,
)
from rpe.transport.http.client import HttpPipelineClient
from rpe.transport.http.settings import HttpSettings
from tests.support.foreign import ECHO, LAST, Foreign, event, received, says, send, session_with
from tests.support.raw_http import Conversation, Request, answer, chunked, raw_http, said


async def test_the_requests_are_what_the_contract_says() -> None:
    async def until_deleted(conversation: Conversation, request: Request) -> None:
        await conversation.say(chunked("text/event-stream; charset=utf-8"), said(b": hello\n\n"))
        await server.deleted.wait()
        await conversation.say(said(event("late", 0)), LAST)

    server = Foreign(until_deleted)
    async with session_with(server, token="t") as (session, seen):
        assert session.session_id == "a/b c"
        await session.send(Text("x"), node_id="echo", sequence=0, timestamp_ms=17)
        await session.finish()
        assert await received(session) == [(0, "late")]
    assert [(request.method, request.path) for request in seen] == [
        ("POST", "/stream"),
        ("GET", "/stream/a%2Fb%20c/output"),
        ("POST", "/stream/a%2Fb%20c/input"),
        ("DELETE", "/stream/a%2Fb%20c"),
    ]
    assert seen[0].json() == {"manifest": ECHO.to_dict()}
    sent = {"data": {"Text": "x"}, "sequence": 0, "metadata": {"rpe-timestamp-ms": "17"}}
    assert server.inputs == [{"data": sent}]
    assert seen[1].headers["accept"] == "text/event-stream"
    assert "last-event-id" not in seen[1].headers
    assert all(request.headers["authorization"] == "Bearer t" for request in seen)
    assert all(0 < int(request.headers["rpe-timeout-ms"]) <= 5000 for request in seen)


async def test_the_operation_is_named_in_each_request_of_a_session() -> None:
    async with raw_http(Foreign(says()).talk) as (endpoint, seen):
        client = HttpPipelineClient(endpoint, HttpSettings())
        pairs = [("rpe-operation-id", "op"), ("rpe-attempt", "2")]
        session = await client.open_stream(ECHO, timeout_s=5.0, open_timeout_s=2.0, metadata=pairs)
        await session.send(Text("x"), node_id="echo", sequence=0)
        session.cancel()
        await client.close()
    assert len(seen) == 4
    assert {(each.headers["rpe-operation-id"], each.headers["rpe-attempt"]) for each in seen} == {("op", "2")}


async def test_answers_without_numbers_are_counted_as_they_come() -> None:
    output = says(event("a", None), event("b", None), event("c", None), then="end")
    async with session_with(Foreign(output)) as (session, _):
        await send(session, 3)
        await session.finish()
        assert await received(session) == [(0, "a"), (1, "b"), (2, "c")]


async def test_events_of_types_that_are_not_known_are_passed_by() -> None:
    strange = b"event: metrics\ndata: {}\n\nevent: progress\ndata: 50%\n\nretry: 10\n\n"
    async with session_with(Foreign(says(strange, event("a", 0), then="end"))) as (session, _):
        await send(session, 1)
        await session.finish()
        assert await received(session) == [(0, "a")]


async def test_an_output_cut_anywhere_is_put_together() -> None:
    whole = b"\xef\xbb\xbf: hi\r\n\r\n" + event("a\u00e9", 0).replace(b"\n", b"\r\n") + event("b", 1)
    output = says(*[whole[i : i + 1] for i in range(len(whole))], then="end")
    async with session_with(Foreign(output)) as (session, _):
        await send(session, 2)
        await session.finish()
        assert await received(session) == [(0, "a\u00e9"), (1, "b")]


@pytest.mark.parametrize("then", ["end", "break", "reset"])
async def test_an_output_that_ends_unasked_is_broken(then: str) -> None:
    async with session_with(Foreign(says(event("a", 0), then=then))) as (session, seen):
        await send(session, 1)
        assert (await session.receive()) is not None
        with pytest.raises(StreamBroken) as caught:
            await session.receive()
        assert caught.value.last_sequence == 0
        assert caught.value.maybe_executed
        assert sum(request.method == "GET" for request in seen) == 1, "no event had a number to go on from"


async def test_an_output_that_breaks_after_the_finish_has_not_ended_well() -> None:
    async with session_with(Foreign(says(event("a", 0), then="break"))) as (session, _):
        await send(session, 2)
        await session.finish()
        assert (await session.receive()) is not None
        with pytest.raises(StreamBroken):
            await session.receive()


async def test_an_error_event_is_the_pipelines() -> None:
    error = b'event: error\ndata: {"error_type": "execution", "message": "no ink"}\n\n'
    async with session_with(Foreign(says(error, then="end"))) as (session, seen):
        with pytest.raises(RemoteExecutionFailed, match="no ink"):
            await session.receive()
        with pytest.raises(RemoteExecutionFailed, match="no ink"):
            await send(session, 1)
    assert [request.method for request in seen] == ["POST", "GET"], "the server knows that it has ended"


@pytest.mark.parametrize(
    "sent",
    [
        b"data: not json\n\n",
        b"data: {}\n\n",
        b"data: []\n\n",
        b'data: {"data": {"Text": 5}, "sequence": 0}\n\n',
        b'data: {"data": {"Text": "x"}, "sequence": -1}\n\n',
        b'data: {"data": {"Text": "x"}, "sequence": "0"}\n\n',
        b'data: {"data": {"Text": "x"}, "sequence": 99}\n\n',
        b"data: \xff\xfe\n\n",
        b"data: " + b"x" * 3000,
        b": " + b"x" * 3000,
        b"data: y\n" * 1000,
    ],
    ids=lambda sent: f"{len(sent)}-{sent[:20]!r}",
)
async def test_garbage_in_the_output_ends_the_session_and_the_server_is_told(sent: bytes) -> None:
    server = Foreign(says(sent))
    async with session_with(server, max_message_bytes=2000) as (session, _):
        with pytest.raises(ProtocolViolation):
            await session.receive()
        with pytest.raises(ProtocolViolation):
            await send(session, 1)
        async with asyncio.timeout(5):
            await server.deleted.wait()


@pytest.mark.parametrize(
    ("opened", "error"),
    [
        (answer(200, b"{}"), ProtocolViolation),
        (answer(200, b"[]"), ProtocolViolation),
        (answer(200, b'{"session_id": 7}'), ProtocolViolation),
        (answer(200, b'{"session_id": ""}'), ProtocolViolation),
        (answer(200, b'{"session_id": "%s"}' % (b"x" * 1000)), ProtocolViolation),
        (answer(200, b'{"session_id": "a"}', kind="text/plain"), ProtocolViolation),
        (answer(200, b"rubbish"), ProtocolViolation),
        (answer(404), InvalidRequest),
        (answer(429, b"", "", "Retry-After: 3"), RemoteOverloaded),
        (answer(400, b'{"error_type": "manifest", "message": "bad"}'), InvalidRequest),
        (answer(503), RemoteUnavailable),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else value.__name__,
)
async def test_an_opening_that_fails(opened: bytes, error: type[RpeError]) -> None:
    with pytest.raises(error) as caught:
        async with session_with(Foreign(opened=opened)):
            pass
    assert caught.value.endpoint


@pytest.mark.parametrize(
    ("output", "error"),
    [
        (answer(404, b"{}"), InvalidRequest),
        (answer(200, b"data: x\n\n", kind="text/html"), ProtocolViolation),
        (answer(200, b"{}", kind="application/json"), ProtocolViolation),
        (answer(500, b'{"error_type": "execution", "message": "x"}'), RemoteExecutionFailed),
        (answer(302), ProtocolViolation),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else value.__name__,
)
async def test_an_output_that_is_refused_fails_the_opening(output: bytes, error: type[RpeError]) -> None:
    async def refuse(conversation: Conversation, request: Request) -> None:
        await conversation.say(output)

    server = Foreign(refuse)
    with pytest.raises(error):
        async with session_with(server):
            pass
    assert server.deleted.is_set(), "the server has a session that nobody will use"


async def test_an_output_that_is_not_connected_in_time_fails_the_opening() -> None:
    async def silent(conversation: Conversation, request: Request) -> None:
        await conversation.reader.read()

    server = Foreign(silent)
    async with raw_http(server.talk) as (endpoint, _):
        client = HttpPipelineClient(endpoint, HttpSettings())
        with pytest.raises(RemoteTimeout):
            await client.open_stream(ECHO, timeout_s=5.0, open_timeout_s=0.1)
        await client.close()
    assert server.deleted.is_set()


@pytest.mark.parametrize(
    ("taken", "error"),
    [
        (answer(404, b"{}"), StreamBroken),
        (answer(409, b"{}"), StreamBroken),
        (answer(410, b"{}"), StreamBroken),
        (answer(400, b'{"error_type": "input", "message": "bad"}'), InvalidRequest),
        (answer(500, b'{"error_type": "execution", "message": "bad"}'), RemoteExecutionFailed),
        (answer(429), RemoteOverloaded),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else value.__name__,
)
async def test_an_input_that_is_refused_ends_the_session(taken: bytes, error: type[RpeError]) -> None:
    async with session_with(Foreign(says(), taken=taken)) as (session, _):
        with pytest.raises(error) as caught:
            await send(session, 1)
        with pytest.raises(error) as again:
            await session.receive()
        assert again.value is caught.value


async def test_silence_breaks_the_session_and_comments_do_not() -> None:
    comments = [b": still here\n\n"] * 20

    async def slow(conversation: Conversation, request: Request) -> None:
        await conversation.say(chunked("text/event-stream"))
        for comment in comments:
            await asyncio.sleep(0.03)
            await conversation.say(said(comment))
        await conversation.say(said(event("a", 0)))
        await conversation.reader.read()

    async with session_with(Foreign(slow), silence_s=0.2) as (session, _):
        await send(session, 1)
        assert (await session.receive()) is not None
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(StreamBroken, match="silent"):
            await session.receive()
        assert asyncio.get_running_loop().time() - began_s < 2.0


async def test_a_server_that_agrees_owes_a_last_word() -> None:
    closed = b"event: closed\ndata: {}\n\n"
    for last, ends_well in ((closed, True), (b"", False)):
        output = says(event("a", 0, id="1"), *([last] if last else []), then="end", agrees=True)
        async with session_with(Foreign(output), reconnects=0) as (session, seen):
            await send(session, 1)
            await session.finish()
            assert seen[1].headers["rpe-wire"] == "v1"
            if ends_well:
                assert await received(session) == [(0, "a")]
                continue
            assert (await session.receive()) is not None
            with pytest.raises(StreamBroken, match="without being closed"):
                await session.receive()


async def test_a_connection_that_breaks_under_an_input_may_have_been_taken() -> None:
    class Breaking(Foreign):
        async def talk(self, conversation: Conversation) -> None:
            while request := await conversation.request():
                if request.path.endswith("/input"):
                    conversation.end()
                    return
                await conversation.say(
                    self.opened if request.method == "POST" else chunked("text/event-stream")
                )

    async with session_with(Breaking()) as (session, seen):
        with pytest.raises(ConnectionLost) as caught:
            await send(session, 1)
        assert isinstance(caught.value, StreamBroken)
        assert sum(request.path.endswith("/input") for request in seen) == 1
