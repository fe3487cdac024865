"""Sessions of the HTTP server, driven by plain requests."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from rpe.transport.serving import (
    ApplicationError,
    ConnectionCut,
    ErrorType,
    Refusal,
    ServerSession,
    StatusCode,
)
from tests.support.handlers import Handler, serve_http
from tests.support.http_caller import MANIFEST, calling, read_event, read_events, text
from tests.support.scripted_session import Scripted, close, one, said


async def test_a_session_from_its_opening_to_its_end() -> None:
    handler = Handler()
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        key = await caller.open(rpe_timeout_ms="5000", rpe_operation_id="op")
        assert key == "s-1"
        async with caller.output(key) as output:
            assert output.status == 200
            assert output.content_type == "text/event-stream"
            for sequence in (0, 1, 5):  # a gap is tolerated
                assert (await caller.put(key, f"c{sequence}", sequence))[0] == 200
                event = await read_event(output)
                assert json.loads(event["data"]) == text(f"c{sequence}", sequence)
                assert int(event["id"]) > 0
            assert await close(caller, key) == 200
            assert await close(caller, key) == 200
            assert await read_events(output) == [], (
                "a caller that did not ask for more gets what the contract has"
            )
    (call,) = handler.calls
    assert (call.method, call.operation_id, call.remaining_s) == ("stream", "op", 5.0)
    assert [(c.node_id, c.sequence) for c in handler.seen] == [("n0", 0), ("n0", 1), ("n0", 5)]


async def test_a_caller_that_knows_our_names_is_told_of_a_good_end() -> None:
    async with serve_http(Handler()) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        async with caller.output(key, rpe_wire="v1") as output:
            assert output.headers["rpe-wire"] == "v1"
            await close(caller, key)
            (last,) = await read_events(output)
            assert last["event"] == "closed"


async def test_chunks_without_numbers_are_counted_and_labels_are_read() -> None:
    handler = Handler()
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        async with caller.output(key) as output:
            await caller.put(key, "a", None)
            body = {"data": text("b", 7, rpe_node_id="n9", rpe_timestamp_ms="17", mine="1")}
            assert (await caller.ask("POST", f"/stream/{key}/input", body))[0] == 200
            await caller.put(key, "c", None)
            events = [json.loads((await read_event(output))["data"]) for _ in range(3)]
    assert [event["sequence"] for event in events] == [0, 7, 8]
    assert events[1]["metadata"] == {"mine": "1"}
    assert [(c.node_id, c.timestamp_ms) for c in handler.seen] == [("n0", 0), ("n9", 17), ("n0", 0)]


async def test_what_was_sent_before_the_close_is_answered_and_nothing_is_taken_after_it() -> None:
    async with serve_http(Handler()) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        async with caller.output(key) as output:
            for sequence in range(40):
                await caller.put(key, str(sequence), sequence)
            await close(caller, key)
            assert (await caller.put(key, "late", 99))[0] == 409
            assert [said(event) for event in await read_events(output)] == [str(n) for n in range(40)]


async def test_an_output_may_be_asked_for_after_all_is_over() -> None:
    async with serve_http(Handler()) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        await caller.put(key, "a", 0)
        await close(caller, key)
        await asyncio.sleep(0.02)
        async with caller.output(key) as output:
            assert [said(event) for event in await read_events(output)] == ["a"]


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        {},
        {"data": {"data": {"Magic": 1}}},
        {"data": text("same", 4)},
        {"data": text("lower", 3)},
        {"data": {**text("x"), "sequence": -1}},
        {"data": text("x", 9, rpe_timestamp_ms="noon")},
    ],
    ids=lambda body: str(body)[:30],
)
async def test_a_broken_rule_is_told_and_ends_the_session(body: Any) -> None:
    async with serve_http(Handler()) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        async with caller.output(key) as output:
            await caller.put(key, "good", 4)
            status, answer, _ = await caller.ask("POST", f"/stream/{key}/input", body)
            assert status == 400
            assert answer["error_type"] in ("validation", "input")
            result, error = await read_events(output)
            assert said(result) == "good"
            assert error["event"] == "error"
            assert json.loads(error["data"])["rpe_http_status"] == 400
        status, late = await caller.put(key, "more", 10)
        assert status == 400
        assert late["message"] == json.loads(error["data"])["message"]


async def test_sessions_that_do_not_exist() -> None:
    async with serve_http(Handler()) as server, calling(server.endpoint) as caller:
        for method, path, body in (
            ("POST", "/stream/nobody/input", {"data": text("x", 0)}),
            ("GET", "/stream/nobody/output", None),
            ("DELETE", "/stream/nobody", None),
            ("DELETE", "/stream/%2F..%2F", None),
        ):
            status, answer, _ = await caller.ask(method, path, body)
            assert status == 404
            assert "no session" in answer["message"]


@pytest.mark.parametrize(
    ("body", "told"),
    [(b"rubbish", "input"), ({}, "manifest"), ({"manifest": {"version": "v1", "nodes": []}}, "manifest")],
    ids=["rubbish", "none", "empty"],
)
async def test_a_session_needs_a_manifest(body: Any, told: str) -> None:
    async with serve_http(Handler()) as server, calling(server.endpoint) as caller:
        status, answer, _ = await caller.ask("POST", "/stream", body)
        assert (status, answer["error_type"]) == (400, told)


async def test_another_callers_session_is_not_to_be_had() -> None:
    async with serve_http(Handler()) as server, calling(server.endpoint) as caller:
        key = await caller.open(Authorization="Bearer one")
        for wrong in ({"Authorization": "Bearer two"}, {}):
            assert (await caller.put(key, "x", 0, **wrong))[0] == 401
            assert await close(caller, key, **wrong) == 401
            async with caller.output(key, **wrong) as output:
                assert output.status == 401
        assert (await caller.put(key, "x", 0, Authorization="Bearer one"))[0] == 200


async def test_two_sessions_whose_handlers_want_one_id() -> None:
    async with serve_http(Handler()) as server, calling(server.endpoint) as caller:
        first, second = await caller.open(), await caller.open()
        assert first != second
        async with caller.output(first) as one_, caller.output(second) as two:
            await caller.put(second, "b", 0)
            await caller.put(first, "a", 0)
            assert (said(await read_event(one_)), said(await read_event(two))) == ("a", "b")


async def test_an_id_of_any_text_can_be_used() -> None:
    handler = Scripted()
    handler.session_id = "a/b c?d#é"
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        assert await caller.open() == handler.session_id
        assert (await caller.ask("DELETE", "/stream/a%2Fb%20c%3Fd%23%C3%A9"))[0] == 200


class Unready(Handler):
    """Ends before it was ready."""

    async def talk(self, session: ServerSession) -> None:
        if isinstance(self.reply, ApplicationError):
            await session.send_error(self.reply)
        if isinstance(self.reply, BaseException):
            raise self.reply


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Refusal(StatusCode.UNAUTHENTICATED, "who?"), 401),
        (Refusal(StatusCode.RESOURCE_EXHAUSTED, "full", retry_after_s=1.0), 429),
        (ApplicationError(ErrorType.VALIDATION, "no such node", "n0"), 400),
        (ApplicationError(ErrorType.NODE_EXECUTION, "fell over", "n0"), 500),
        (None, 500),
        (ValueError("s3cret"), 500),
    ],
    ids=str,
)
async def test_a_session_that_never_was_ready_is_answered_with_its_error(reply: Any, status: int) -> None:
    async with serve_http(Unready(reply)) as server, calling(server.endpoint) as caller:
        code, answer, headers = await caller.ask("POST", "/stream", {"manifest": MANIFEST})
        assert code == status
        assert "s3cret" not in str(answer)
        if status == 429:
            assert headers["Retry-After"] == "1"


async def test_a_session_whose_opening_is_cut() -> None:
    async with serve_http(Unready(ConnectionCut())) as server, calling(server.endpoint) as caller:
        with pytest.raises(aiohttp.ClientOSError):
            await caller.open()


async def test_a_caller_that_goes_away_before_it_was_ready_cancels_the_handler() -> None:
    class Slow(Handler):
        async def talk(self, session: ServerSession) -> None:
            self.entered.set()
            await asyncio.sleep(60)

    handler = Slow()
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        task = asyncio.create_task(caller.open())
        async with asyncio.timeout(5):
            await handler.entered.wait()
            task.cancel()
            await handler.cancelled.wait()


@pytest.mark.parametrize("how", ["a refusal", "an error", "the end", "a cut"])
async def test_how_a_running_session_ends(how: str) -> None:
    handler = Scripted(one("a"))
    handler.reply = {
        "a refusal": Refusal(StatusCode.RESOURCE_EXHAUSTED, "full", retry_after_s=0.5),
        "an error": RuntimeError("s3cret"),
        "a cut": ConnectionCut(),
        "the end": None,
    }[how]
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        async with caller.output(key, rpe_wire="v1") as output:
            handler.go.set()
            assert said(await read_event(output)) == "a"
            if how == "a cut":
                with pytest.raises(aiohttp.ClientError):
                    await read_events(output)
                assert (await caller.put(key, "x", 0))[0] in (404, 409)
                return
            if how == "the end":
                await close(caller, key)
            (last,) = await read_events(output)
            fields = json.loads(last["data"])
            if how == "a refusal":
                assert fields["rpe_http_status"] == 429
                assert fields["rpe_retry_after_ms"] == "500"
            elif how == "an error":
                assert fields["rpe_http_status"] == 500
                assert "s3cret" not in last["data"]


async def test_the_time_of_a_session_ends_it() -> None:
    handler = Handler()
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        key = await caller.open(rpe_timeout_ms="100")
        async with caller.output(key) as output:
            (last,) = await read_events(output)
            assert json.loads(last["data"])["rpe_http_status"] == 504
        assert handler.cancelled.is_set()


async def test_a_cancelling_delete_reaches_a_busy_handler() -> None:
    handler = Handler()
    handler.busy_s = 60
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        assert await close(caller, key, rpe_cancel="1") == 200
        async with asyncio.timeout(5):
            await handler.cancelled.wait()


@pytest.mark.parametrize("connected", [True, False])
async def test_a_session_whose_output_nobody_reads_ends(connected: bool) -> None:
    handler = Handler()
    async with serve_http(handler, resume_s=0.05) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        if connected:
            async with caller.output(key):
                await asyncio.sleep(0.15)
                assert not handler.cancelled.is_set()
        async with asyncio.timeout(5):
            await handler.cancelled.wait()
        assert (await caller.put(key, "x", 0))[0] == 404


async def test_an_ended_session_is_forgotten_in_the_end() -> None:
    async with serve_http(Handler(), resume_s=0.05) as server, calling(server.endpoint) as caller:
        key = await caller.open()
        async with caller.output(key) as output:
            await close(caller, key)
            await read_events(output)
        await asyncio.sleep(0.1)
        assert await close(caller, key) == 404
        assert server._sessions._known == {}
