"""The HTTP server with a handler of the test's own, driven by plain requests."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from typing import Any

import aiohttp
import numpy as np
import pytest

from rpe.data import Audio, Text
from rpe.transport.serving import (
    Answer,
    ApplicationError,
    ConnectionCut,
    Damage,
    ErrorType,
    RawAnswer,
    Refusal,
    StatusCode,
)
from tests.support.handlers import Handler, serve_http
from tests.support.http_caller import MANIFEST, calling, text

STATUS = {
    "cancelled": 499,
    "unknown": 500,
    "invalid_argument": 400,
    "deadline_exceeded": 504,
    "not_found": 404,
    "permission_denied": 403,
    "resource_exhausted": 429,
    "failed_precondition": 400,
    "aborted": 409,
    "out_of_range": 400,
    "unimplemented": 501,
    "internal": 500,
    "unavailable": 503,
    "data_loss": 500,
    "unauthenticated": 401,
}


async def test_an_answer_has_one_output_and_the_header_what_it_cost() -> None:
    handler = Handler(Answer({"output": Text("a")}, wall_time_ms=2.5))
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        status, body, headers = await caller.execute()
    assert (status, body) == (200, {"output": text("a")})
    assert headers["Content-Type"] == "application/json"
    assert headers["rpe-wall-time-ms"] == "2.500"
    ((read, inputs),) = handler.seen
    assert [node.id for node in read.nodes] == ["n0"]
    assert inputs == {"n0": Text("hi")}


@pytest.mark.parametrize(
    ("outputs", "sent"),
    [
        ({"n1": "b", "output": "a"}, text("a")),
        ({"n1": "b", "n0": "a"}, text("a", rpe_output="n0")),
    ],
)
async def test_of_several_outputs_one_is_sent(outputs: dict[str, str], sent: Any) -> None:
    reply = Answer({name: Text(said) for name, said in outputs.items()})
    async with serve_http(Handler(reply)) as server, calling(server.endpoint) as caller:
        assert (await caller.execute())[:2] == (200, {"output": sent})


async def test_an_input_names_its_node_in_a_label_which_is_not_the_datas() -> None:
    handler = Handler()
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        data = text("x", rpe_node_id="n7", mine="1")
        status, body, _ = await caller.ask("POST", "/execute", {"manifest": MANIFEST, "input": data})
    assert (status, body) == (200, {"output": text("x", mine="1")})
    assert handler.seen[0][1] == {"n7": Text("x", metadata={"mine": "1"})}


async def test_a_handler_is_told_of_the_call_and_its_headers_are_not_in_its_text() -> None:
    handler = Handler()
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        await caller.execute(
            rpe_operation_id="op-7", rpe_attempt="3", Authorization="Bearer s3cret", rpe_timeout_ms="1500"
        )
        await caller.execute(rpe_attempt="many", rpe_timeout_ms="soon")
        await caller.execute(rpe_attempt="9" * 5000, rpe_timeout_ms="9" * 5000)
    first, second, third = handler.calls
    assert (first.method, first.operation_id, first.attempt) == ("execute", "op-7", 3)
    assert first.metadata["authorization"] == "Bearer s3cret"
    assert "s3cret" not in repr(first)
    assert first.remaining_s == 1.5
    assert first.peer.startswith("127.0.0.1:")
    assert (second.operation_id, second.attempt, second.remaining_s) == ("", 0, None)
    assert (third.attempt, third.remaining_s) == (0, None)


@pytest.mark.parametrize("kind", ErrorType)
async def test_an_error_of_the_pipeline_has_the_words_of_the_contract_and_finer_ones(kind: ErrorType) -> None:
    handler = Handler(ApplicationError(kind, "no", "n0"))
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        status, body, _ = await caller.execute()
    invalid = kind in (ErrorType.VALIDATION, ErrorType.TYPE_VALIDATION)
    assert status == (400 if invalid else 500)
    told = "validation" if invalid else "execution"
    assert body == {"error_type": told, "message": "no", "rpe_error_type": kind, "node_id": "n0"}


@pytest.mark.parametrize("status", StatusCode)
async def test_every_refusal_has_its_status(status: StatusCode) -> None:
    async with serve_http(Handler(Refusal(status, "because"))) as server, calling(server.endpoint) as caller:
        code, body, headers = await caller.execute()
    assert code == STATUS[status]
    assert body["message"] == "because"
    assert body["error_type"] in ("validation", "execution")
    assert "Retry-After" not in headers


async def test_a_refusal_may_bring_a_status_of_its_own() -> None:
    refusal = Refusal(StatusCode.UNKNOWN, "teapot", http_status=418)
    async with serve_http(Handler(refusal)) as server, calling(server.endpoint) as caller:
        assert (await caller.execute())[0] == 418


@pytest.mark.parametrize(
    ("after_s", "whole", "exact"),
    [(0.25, "1", "250"), (2.0, "2", "2000"), (0.0, "0", "0"), (-1.0, None, "-1")],
)
async def test_a_refusal_says_when_to_come_back(after_s: float, whole: str | None, exact: str) -> None:
    refusal = Refusal(StatusCode.UNAVAILABLE, "later", retry_after_s=after_s, metadata={"x-zone": "b"})
    async with serve_http(Handler(refusal)) as server, calling(server.endpoint) as caller:
        _, _, headers = await caller.execute()
    assert headers.get("Retry-After") == whole
    assert headers["rpe-retry-after-ms"] == exact
    assert headers["x-zone"] == "b"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "input"),
        (b"not json", "input"),
        (b"[]", "input"),
        (b"{}", "manifest"),
        (b"\xff\xfe", "input"),
        (b"[" * 10_000, "input"),
        ({"manifest": MANIFEST}, "input"),
        ({"manifest": {"version": "v1", "nodes": []}, "input": text("x")}, "manifest"),
        ({"manifest": MANIFEST, "input": {"data": {"Text": 5}}}, "input"),
        ({"manifest": MANIFEST, "input": {"data": {"Magic": 5}}}, "input"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_request_that_breaks_its_contract_is_told_in_the_contracts_words(
    body: Any, told: str
) -> None:
    handler = Handler()
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        status, answer, _ = await caller.ask("POST", "/execute", body)
        assert status == 400
        assert answer["error_type"] == told
        assert answer["message"]
        assert not handler.seen
        assert (await caller.execute())[0] == 200


async def test_a_raw_answer_goes_out_as_it_is() -> None:
    async with serve_http(Handler(RawAnswer(b"\x07\xff"))) as server, calling(server.endpoint) as caller:
        status, body, headers = await caller.execute(read_json="no")
    assert (status, body, headers["Content-Type"]) == (200, b"\x07\xff", "application/json")


async def test_an_answer_without_outputs_is_the_servers_failure() -> None:
    async with serve_http(Handler(Answer({}))) as server, calling(server.endpoint) as caller:
        status, body, _ = await caller.execute()
    assert (status, body["error_type"]) == (500, "execution")


async def test_a_failing_handler_is_an_internal_error_whose_text_stays_inside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serve_http(Handler(RuntimeError("s3cret"))) as server, calling(server.endpoint) as caller:
        status, body, _ = await caller.execute()
    assert (status, body["rpe_error_type"]) == (500, "internal")
    assert "s3cret" not in str(body)
    assert "s3cret" in caplog.text


async def test_a_timeout_of_the_handlers_own_is_not_the_callers_deadline(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serve_http(Handler(TimeoutError("mine"))) as server, calling(server.endpoint) as caller:
        assert (await caller.execute(rpe_timeout_ms="5000"))[0] == 500
    assert "mine" in caplog.text


async def test_a_cut_breaks_the_connection_with_no_status() -> None:
    handler = Handler(ConnectionCut())
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        with pytest.raises(aiohttp.ClientOSError):
            await caller.execute()
        handler.reply = None
        assert (await caller.execute("again"))[1] == {"output": text("again")}


async def raw_answer(endpoint: str) -> bytes:
    """Everything that the server sends for one request, to the end of the connection."""
    body = json.dumps({"manifest": MANIFEST, "input": text("x")}).encode()
    reader, writer = await asyncio.open_connection(*endpoint.split(":"))
    writer.write(b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(("damage", "missing"), [(Damage.CUT_BODY, 32), (Damage.WRONG_LENGTH, 64)])
async def test_a_body_is_broken_with_its_connection(damage: Damage, missing: int) -> None:
    whole = json.dumps({"output": text("x")}, separators=(",", ":")).encode()
    handler = Handler(Answer({"output": Text("x")}, damage=damage))
    async with serve_http(handler) as server:
        head, _, body = (await raw_answer(server.endpoint)).partition(b"\r\n\r\n")
        handler.reply = None
        async with calling(server.endpoint) as caller:
            assert (await caller.execute())[0] == 200
    announced = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert head.startswith(b"HTTP/1.1 200")
    if damage is Damage.CUT_BODY:
        assert announced == len(whole)
        assert len(body) == len(whole) // 2
    else:
        assert announced == len(body) + missing
        assert json.loads(body) == {"output": text("x")}


@pytest.mark.parametrize(
    "damage", [Damage.TRUNCATED, Damage.BAD_UTF8, Damage.EMPTY, Damage.SHORT_AUDIO], ids=str
)
@pytest.mark.parametrize("data", [Text("x"), Audio(np.zeros(4, np.float32), 8000)], ids=["text", "audio"])
async def test_a_damaged_answer_is_whole_http_around_a_broken_message(damage: Damage, data: Any) -> None:
    handler = Handler(Answer({"output": data}, damage=damage))
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        status, body, headers = await caller.execute(read_json="no")
    assert (status, str(len(body))) == (200, headers["Content-Length"])
    if damage is Damage.EMPTY:
        assert body == b"{}"
    elif damage is Damage.SHORT_AUDIO:
        audio = json.loads(body)["output"]["data"]["Audio"]
        assert len(audio["samples"]) % audio["channels"]
    else:
        with pytest.raises(ValueError):
            json.loads(body.decode())


async def test_health() -> None:
    handler = Handler()
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        assert (await caller.ask("GET", "/health"))[:2] == (200, b"")
        handler.is_serving = False
        assert (await caller.ask("GET", "/health"))[:2] == (503, b"")
    async with serve_http(handler, health=False) as server, calling(server.endpoint) as caller:
        assert (await caller.ask("GET", "/health"))[0] == 404


async def test_other_paths_and_methods_are_not_served() -> None:
    async with serve_http(Handler()) as server, calling(server.endpoint) as caller:
        assert (await caller.ask("GET", "/"))[0] == 404
        assert (await caller.ask("GET", "/execute"))[0] == 405
        assert (await caller.ask("PUT", "/stream"))[0] == 405


async def test_a_deadline_that_passes_here_is_told() -> None:
    handler = Handler()
    handler.busy_s = 60
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        status, _, _ = await caller.execute(rpe_timeout_ms="50")
        assert status == 504
        assert handler.ended.is_set()


async def test_a_caller_that_goes_away_cancels_the_handler() -> None:
    handler = Handler()
    handler.busy_s = 60
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        task = asyncio.create_task(caller.execute())
        async with asyncio.timeout(5):
            await handler.entered.wait()
            task.cancel()
            await handler.ended.wait()


async def test_a_message_above_the_limit_is_refused() -> None:
    async with serve_http(Handler(), max_message_bytes=1000) as server, calling(server.endpoint) as caller:
        assert (await caller.execute("x" * 600))[0] == 200
        status, body, _ = await caller.execute("x" * 1200)
        assert (status, body["error_type"]) == (413, "validation")


@pytest.mark.parametrize(
    "sent",
    [
        b"rubbish\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST /execute HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    ],
    ids=lambda sent: repr(sent[:20]),
)
async def test_rubbish_does_no_harm(sent: bytes) -> None:
    handler = Handler()
    async with serve_http(handler) as server:
        _, writer = await asyncio.open_connection(*server.endpoint.split(":"))
        writer.write(sent)
        await writer.drain()
        await asyncio.sleep(0.02)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        async with calling(server.endpoint) as caller:
            assert (await caller.execute("still here"))[1] == {"output": text("still here")}
    assert len(handler.calls) == 1
