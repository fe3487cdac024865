"""The HTTP client against servers that break HTTP itself: connections, bodies, headers."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest

from rpe.data import Text
from rpe.errors import (
    ConnectionLost,
    ProtocolViolation,
    RemoteTimeout,
    RpeError,
)
from rpe.manifest.model import Manifest
from rpe.transport.http.client import HttpPipelineClient
from rpe.transport.http.settings import HttpSettings
from rpe.transport.ports import ExecutionResult
from tests.support.raw_http import Conversation, Request, answer, chunked, raw_http, said

ECHO = Manifest.single("echo", node_type="Echo")
GOOD = b'{"output": {"data": {"Text": "good"}, "sequence": null, "metadata": {}}}'


async def execute(client: HttpPipelineClient, timeout_s: float = 5.0) -> ExecutionResult:
    return await client.execute(ECHO, {"echo": Text("x")}, timeout_s=timeout_s)


async def outcome(*parts: bytes, after: str = "keep", **settings: object) -> ExecutionResult | RpeError:
    """What a call comes to that is answered with these bytes, and then by what is done to the connection."""

    async def talk(conversation: Conversation) -> None:
        while await conversation.request():
            await conversation.say(*parts)
            if after != "keep":
                (conversation.end if after == "end" else conversation.reset)()
                return

    async with raw_http(talk) as (endpoint, seen):
        client = HttpPipelineClient(endpoint, HttpSettings(**settings))  # type: ignore[arg-type]
        try:
            return await execute(client, timeout_s=0.5)
        except RpeError as error:
            assert error.endpoint == endpoint
            assert len(seen) == 1, "one try, and never another one"
            return error
        finally:
            await client.close()


async def test_the_request_is_what_the_contract_says() -> None:
    async def talk(conversation: Conversation) -> None:
        while await conversation.request():
            await conversation.say(answer(200, GOOD))

    async with raw_http(talk) as (endpoint, seen):
        client = HttpPipelineClient(
            f"http://{endpoint}/base/", HttpSettings(token="t", headers={"X-Own": "1"})
        )
        result = await client.execute(ECHO, {"echo": Text("x")}, timeout_s=2.0, metadata=[("x-more", "2")])
        await client.close()
    assert result.output == Text("good")
    (request,) = seen
    assert (request.method, request.path) == ("POST", "/base/execute")
    body = request.json()
    assert set(body) == {"manifest", "input"}
    assert body["manifest"] == ECHO.to_dict()
    assert body["input"] == {"data": {"Text": "x"}, "sequence": None, "metadata": {}}
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == "Bearer t"
    assert (request.headers["x-own"], request.headers["x-more"]) == ("1", "2")
    assert request.headers["accept-encoding"] == "identity"
    assert 1500 < int(request.headers["rpe-timeout-ms"]) <= 2000
    assert "cookie" not in request.headers


@pytest.mark.parametrize("after", ["end", "reset"])
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Type: appl",
        answer(200, GOOD[:20], length=len(GOOD)),
        answer(200, GOOD, length=len(GOOD) + 10),
        chunked("application/json") + said(GOOD[:20]),
        chunked("application/json") + said(GOOD),
        chunked("application/json") + b"50\r\nshort",
    ],
    ids=["nothing", "half-a-head", "cut-body", "wrong-length", "cut-chunks", "no-last-chunk", "cut-in-chunk"],
)
async def test_a_connection_that_breaks_may_have_lost_an_answer(sent: bytes, after: str) -> None:
    error = await outcome(*([sent] if sent else []), after=after)
    assert type(error) is ConnectionLost, error
    assert error.maybe_executed


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00\x01\x02\x03" * 10,
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\n" + b"X-Big: " + b"y" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: y\r\n" * 5000 + b"\r\n",
        chunked("application/json") + b"zz\r\nnot a chunk\r\n",
        answer(200, GOOD, kind="text/html"),
        answer(200, GOOD, kind=""),
        answer(200, b""),
        answer(200, b"not json"),
        answer(200, b"[]"),
        answer(200, b"{}"),
        answer(200, b'{"output": null}'),
        answer(200, b'{"output": {"data": {"Text": 5}}}'),
        answer(200, b'{"output": {"data": {"Novelty": 5}}}'),
        answer(200, b'{"output": {"data": {"Text": "\xff\xfe"}}}'),
        answer(200, GOOD, "application/json", "Content-Encoding: gzip"),
        answer(200, gzip.compress(GOOD), "application/json", "Content-Encoding: gzip"),
        answer(204),
        answer(302, b"", "text/html", "Location: http://127.0.0.1:1/"),
        answer(307, b"", "text/html", "Location: /elsewhere"),
        answer(201, GOOD),
        answer(600, GOOD),
    ],
    ids=lambda sent: f"{len(sent)}-{sent[9:24]!r}",
)  # fmt: skip
async def test_an_answer_that_is_not_the_contracts_is_a_violation(sent: bytes) -> None:
    error = await outcome(sent)
    assert type(error) is ProtocolViolation, error


async def test_a_redirect_is_not_followed_and_was_not_executed() -> None:
    error = await outcome(answer(307, b"", "text/html", "Location: /elsewhere"))
    assert isinstance(error, ProtocolViolation)
    assert not error.maybe_executed
    assert not error.retryable


async def test_an_answer_in_chunks_is_read() -> None:
    result = await outcome(
        chunked("application/json; charset=utf-8") + said(GOOD[:7], GOOD[7:]) + b"0\r\n\r\n"
    )
    assert isinstance(result, ExecutionResult)
    assert result.output == Text("good")


async def test_an_answer_that_ends_with_its_connection_is_read() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    result = await outcome(head + GOOD, after="end")
    assert isinstance(result, ExecutionResult)
    assert result.output == Text("good")


@pytest.mark.parametrize("length", [None, 10**12], ids=["in chunks", "announced"])
async def test_a_body_above_the_limit_is_not_read_to_its_end(length: int | None) -> None:
    if length is None:
        sent = [chunked("application/json"), *[said(b"x" * 1000)] * 50]
    else:
        sent = [answer(200, b"x", length=length)]
    error = await outcome(*sent, max_message_bytes=20_000)
    assert isinstance(error, ProtocolViolation)
    assert "too large" in error.message
    assert "max_message_bytes" in error.hint
    assert not error.retryable


async def test_a_body_that_never_comes_is_waited_for_until_the_deadline() -> None:
    error = await outcome(answer(200, GOOD[:10], length=len(GOOD)))
    assert type(error) is RemoteTimeout
    assert error.maybe_executed


async def test_a_body_that_drips_is_cut_off_at_the_deadline() -> None:
    async def talk(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(answer(200, b"", length=len(GOOD)))
        for byte in GOOD:
            await conversation.say(bytes([byte]))
            await asyncio.sleep(0.05)

    async with raw_http(talk) as (endpoint, _):
        client = HttpPipelineClient(endpoint, HttpSettings())
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(RemoteTimeout):
            await execute(client, timeout_s=0.2)
        assert asyncio.get_running_loop().time() - began_s < 2.0
        await client.close()


async def test_cancelling_within_a_body_ends_its_connection() -> None:
    gone = asyncio.Event()
    half_sent = asyncio.Event()

    async def talk(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(answer(200, GOOD[:10], length=len(GOOD)))
        half_sent.set()
        assert await conversation.reader.read() == b""
        gone.set()

    async with raw_http(talk) as (endpoint, _):
        client = HttpPipelineClient(endpoint, HttpSettings())
        task = asyncio.create_task(execute(client))
        await half_sent.wait()
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            await gone.wait()
        await client.close()


async def test_closing_the_client_within_a_body_ends_the_call() -> None:
    half_sent = asyncio.Event()

    async def talk(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(answer(200, GOOD[:10], length=len(GOOD)))
        half_sent.set()
        await conversation.reader.read()

    async with raw_http(talk) as (endpoint, _):
        client = HttpPipelineClient(endpoint, HttpSettings())
        task = asyncio.create_task(execute(client, timeout_s=20.0))
        await half_sent.wait()
        await asyncio.sleep(0.02)
        await client.close()
        async with asyncio.timeout(5):
            with pytest.raises(ConnectionLost):
                await task


async def serve_twice(
    first: bytes, *, close_after: float | None, pause_s: float, **settings: float
) -> list[Request]:
    """Call twice with a pause between; the server ends each connection that long after its answer."""

    async def talk(conversation: Conversation) -> None:
        while await conversation.request():
            await conversation.say(first)
            if close_after is not None:
                await asyncio.sleep(close_after)
                return

    async with raw_http(talk) as (endpoint, seen):
        client = HttpPipelineClient(endpoint, HttpSettings(**settings))  # type: ignore[arg-type]
        await execute(client)
        await asyncio.sleep(pause_s)
        await execute(client)
        await client.close()
    return seen


async def test_a_connection_is_used_again() -> None:
    seen = await serve_twice(answer(200, GOOD), close_after=None, pause_s=0.0)
    assert [request.connection for request in seen] == [1, 1]


async def test_a_connection_is_not_used_again_after_the_clients_own_limit() -> None:
    seen = await serve_twice(answer(200, GOOD), close_after=None, pause_s=0.1, keepalive_s=0.05)
    assert [request.connection for request in seen] == [1, 2]


async def test_a_connection_is_not_used_again_after_the_limit_that_the_server_tells() -> None:
    told = answer(200, GOOD, "application/json", "Keep-Alive: timeout=0, max=100")
    seen = await serve_twice(told, close_after=None, pause_s=0.01)
    assert [request.connection for request in seen] == [1, 2]


async def test_a_connection_that_the_server_has_closed_does_not_fail_a_call() -> None:
    seen = await serve_twice(answer(200, GOOD), close_after=0.0, pause_s=0.05)
    assert [request.connection for request in seen] == [1, 2]


async def test_an_end_that_the_loop_has_not_read_yet_is_seen() -> None:
    """The server ends the connection, and nothing lets the loop see it before the next request goes out."""
    import socket
    import threading

    listener = socket.create_server(("127.0.0.1", 0))
    closed = threading.Event()

    def serve() -> None:
        for number in range(2):
            connection, _ = listener.accept()
            request = b""
            while not request.endswith(b"}"):
                request += connection.recv(65536)
            connection.sendall(answer(200, GOOD))
            if number == 0:
                asked.wait(5)
            connection.close()
            closed.set()

    asked = threading.Event()
    thread = threading.Thread(target=serve)
    thread.start()
    client = HttpPipelineClient(f"127.0.0.1:{listener.getsockname()[1]}", HttpSettings())
    try:
        await execute(client)
        asked.set()
        assert closed.wait(5)  # the loop stands still meanwhile
        assert (await execute(client)).output == Text("good")
    finally:
        await client.close()
        thread.join(5)
        listener.close()


async def test_a_connection_with_an_answer_to_nothing_is_not_used_again() -> None:
    async def talk(conversation: Conversation) -> None:
        while await conversation.request():
            await conversation.say(answer(200, GOOD))
            if conversation.number == 1:
                await asyncio.sleep(0.02)
                await conversation.say(answer(500, b"for somebody else"))

    async with raw_http(talk) as (endpoint, seen):
        client = HttpPipelineClient(endpoint, HttpSettings())
        await execute(client)
        await asyncio.sleep(0.06)
        assert (await execute(client)).output == Text("good")
        assert [request.connection for request in seen] == [1, 2]
        await client.close()


async def test_a_connection_that_breaks_as_the_request_arrives_is_not_tried_again() -> None:
    async def talk(conversation: Conversation) -> None:
        await conversation.request()
        if conversation.number == 1:
            await conversation.say(answer(200, GOOD))
            await conversation.request()
        conversation.end()

    async with raw_http(talk) as (endpoint, seen):
        client = HttpPipelineClient(endpoint, HttpSettings())
        await execute(client)
        with pytest.raises(ConnectionLost) as caught:
            await execute(client)
        assert caught.value.maybe_executed, "the server may have read it, and here it has"
        assert len(seen) == 2
        await client.close()


async def test_cookies_are_not_kept() -> None:
    told = answer(200, GOOD, "application/json", "Set-Cookie: a=b; Path=/")
    seen = await serve_twice(told, close_after=None, pause_s=0.0)
    assert all("cookie" not in request.headers for request in seen)


async def test_secrets_in_a_servers_words_are_not_told_and_long_ones_are_clipped() -> None:
    message = "token=abcdef " + "x" * 5000
    error = await outcome(answer(500, json.dumps({"error_type": "execution", "message": message}).encode()))
    assert isinstance(error, RpeError)
    assert "abcdef" not in str(error)
    assert len(str(error)) < 1000
