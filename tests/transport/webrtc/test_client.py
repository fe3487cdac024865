"""The client and the server's peers on real connections: unary calls, health, and what is left."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from rpe.data import Binary, RuntimeData, Text
from rpe.errors import (
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    InvalidRequest,
    ProtocolViolation,
    RemoteTimeout,
    RpeError,
)
from rpe.manifest.model import Manifest
from rpe.transport.ports import ATTEMPT_KEY, OPERATION_KEY, ServingStatus
from rpe.transport.serving import Answer, Refusal, Reply, ServerCall, StatusCode
from rpe.transport.webrtc.client import WebrtcPipelineClient
from rpe.transport.webrtc.outbox import HIGH_MARK_BYTES
from tests.support.handlers import Handler
from tests.support.webrtc import ECHO, none_left, others, served, sockets


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    before, tasks = sockets(), others()
    yield
    assert others() - tasks == set()
    await none_left(before)


async def echo(client: WebrtcPipelineClient, data: RuntimeData, timeout_s: float = 10.0) -> RuntimeData:
    result = await client.execute(ECHO, {"n0": data}, timeout_s=timeout_s)
    return result.output


def blob(size: int) -> Binary:
    return Binary(random.Random(size).randbytes(size))


# --- calls -----------------------------------------------------------------------------------------------


async def test_a_call_goes_and_comes_back_with_what_it_cost() -> None:
    handler = Handler(Answer({"a": Text("1"), "b": Text("2")}, wall_time_ms=2.5))
    async with served(handler) as (client, _):
        result = await client.execute(ECHO, {"n0": Text("hi"), "n1": Text("ho")}, timeout_s=5)
    assert result.outputs == {"a": Text("1"), "b": Text("2")}
    assert result.wall_time_ms == 2.5
    ((manifest, inputs),) = handler.seen
    assert manifest == ECHO
    assert inputs == {"n0": Text("hi"), "n1": Text("ho")}


async def test_the_handler_is_told_of_deadline_operation_and_credentials() -> None:
    handler = Handler()
    async with served(handler, token="s3cret") as (client, _):
        metadata = ((OPERATION_KEY, "op-7"), (ATTEMPT_KEY, "3"), ("x-more", "Grüße"))
        await client.execute(ECHO, {"n0": Text("x")}, timeout_s=7.0, metadata=metadata)
    admission, call = handler.calls
    assert (admission.method, admission.peer) == ("connect", "webrtc:127.0.0.1:4000")
    assert (call.method, call.operation_id, call.attempt) == ("execute", "op-7", 3)
    assert call.metadata["authorization"] == "Bearer s3cret"
    assert call.metadata["x-more"] == "Grüße"
    assert call.remaining_s is not None and 5.0 < call.remaining_s <= 7.0
    assert "s3cret" not in repr(call)


async def test_one_peer_serves_all_calls_also_those_that_begin_at_once() -> None:
    async with served() as (client, signalling):
        signalling.pause_s = 0.02
        answers = await asyncio.gather(*(echo(client, Text(f"{n}")) for n in range(300)))
        assert answers == [Text(f"{n}") for n in range(300)]
        assert await echo(client, Text("later")) == Text("later")
        assert len(signalling.signallers) == 1


async def test_a_small_call_is_one_message_each_way() -> None:
    async with served() as (client, _):
        await echo(client, Text("x"))
        peer = client._shared.current
        assert peer is not None
        before = (peer.link.stats.sent_messages, peer.link.stats.received_messages)
        await echo(client, Text("y"))
        after = (peer.link.stats.sent_messages, peer.link.stats.received_messages)
    assert (after[0] - before[0], after[1] - before[1]) == (1, 1)


@pytest.mark.parametrize("size", [0, 1, 65_000, 65_536, 300_000, 1024 * 1024])
async def test_messages_of_any_size_come_back(size: int) -> None:
    async with served() as (client, _):
        assert await echo(client, blob(size)) == blob(size)


@pytest.mark.slow
async def test_the_largest_message_comes_back() -> None:
    data = blob(16 * 1024 * 1024 - 1024)
    async with served() as (client, _):
        assert await echo(client, data, timeout_s=60) == data


async def test_a_large_message_does_not_hold_up_small_ones() -> None:
    """It goes out in parts, as the channel takes them, and others get their turn in between."""
    async with served() as (client, _):
        await echo(client, Text("warm"))
        peer = client._shared.current
        assert peer is not None and peer.link._pipeline is not None
        large = asyncio.create_task(echo(client, blob(2 * 1024 * 1024)))
        await asyncio.sleep(0)
        assert peer.link._pipeline._channel.bufferedAmount <= 2 * HIGH_MARK_BYTES
        for n in range(5):
            assert await echo(client, Text(f"{n}")) == Text(f"{n}")
        assert not large.done()
        assert len(await large_bytes(large)) == 2 * 1024 * 1024


async def large_bytes(task: asyncio.Task[RuntimeData]) -> bytes:
    output = await task
    assert isinstance(output, Binary)
    return output.data


class Picky(Handler):
    """Answers each call after as many milliseconds as its text says."""

    async def execute(self, call: ServerCall, manifest: Manifest, inputs: Mapping[str, RuntimeData]) -> Reply:
        (data,) = inputs.values()
        assert isinstance(data, Text)
        await asyncio.sleep(int(data.text) / 1000)
        return Answer({"output": data})


async def test_a_slow_call_does_not_hold_up_quick_ones() -> None:
    async with served(Picky()) as (client, _):
        done: list[int] = []

        async def one(delay_ms: int) -> None:
            await echo(client, Text(f"{delay_ms}"))
            done.append(delay_ms)

        await asyncio.gather(*(one(delay_ms) for delay_ms in (300, 150, 0)))
    assert done == [0, 150, 300]


# --- deadlines and cancels -------------------------------------------------------------------------------


async def test_a_deadline_ends_the_call_on_both_sides() -> None:
    handler = Handler()
    handler.busy_s = 60
    async with served(handler) as (client, _):
        with pytest.raises(RemoteTimeout) as caught:
            await echo(client, Text("x"), timeout_s=0.2)
        assert caught.value.maybe_executed
        async with asyncio.timeout(5):
            await handler.ended.wait()
        handler.busy_s = 0
        assert await echo(client, Text("next")) == Text("next")


async def test_a_cancelled_call_is_cancelled_at_the_server() -> None:
    handler = Handler()
    handler.busy_s = 60
    async with served(handler) as (client, _):
        call = asyncio.create_task(echo(client, Text("x")))
        await handler.entered.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(5):
            await handler.ended.wait()


@pytest.mark.parametrize("pause_s", [0.0, 0.001, 0.005, 0.01, 0.02, 0.03, 0.04])
async def test_a_call_cancelled_while_it_connects_leaves_the_connecting_to_the_others(pause_s: float) -> None:
    async with served() as (client, signalling):
        first = asyncio.create_task(echo(client, Text("first")))
        second = asyncio.create_task(echo(client, Text("second")))
        await asyncio.sleep(pause_s)
        first.cancel()
        assert await second == Text("second")
        await asyncio.wait([first])
        assert len(signalling.signallers) == 1


@pytest.mark.parametrize("pause_s", [0.0, 0.001, 0.005, 0.01, 0.02, 0.03, 0.04])
async def test_a_client_closed_while_it_connects_leaves_nothing(pause_s: float) -> None:
    async with served() as (client, _):
        call = asyncio.create_task(echo(client, Text("x")))
        await asyncio.sleep(pause_s)
        await client.close()
        await asyncio.wait([call])
        if call.exception() is not None:
            assert isinstance(call.exception(), ConnectionLost)


async def test_a_call_cancelled_while_its_message_goes_out_sends_no_more_of_it() -> None:
    handler = Handler()
    async with served(handler) as (client, _):
        await echo(client, Text("warm"))
        peer = client._shared.current
        assert peer is not None
        call = asyncio.create_task(echo(client, blob(4 * 1024 * 1024)))
        await asyncio.sleep(0.02)
        call.cancel()
        await asyncio.wait([call])
        assert await echo(client, Text("next")) == Text("next")
        assert peer.link.stats.sent_bytes < 2 * 1024 * 1024
        assert len(handler.seen) == 2


async def test_an_operation_waits_no_longer_for_a_connection_than_it_may() -> None:
    async with served(connect_timeout_s=0.5) as (client, signalling):
        signalling.pause_s = 60
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        short, long = await asyncio.gather(
            echo(client, Text("x"), timeout_s=0.1), echo(client, Text("x")), return_exceptions=True
        )
        assert 0.4 < loop.time() - began_s < 5
        assert type(short) is RemoteTimeout
        assert not short.maybe_executed
        assert type(long) is ConnectFailed


# --- errors ----------------------------------------------------------------------------------------------


async def test_a_failing_handler_keeps_its_text_to_itself(caplog: pytest.LogCaptureFixture) -> None:
    async with served(Handler(RuntimeError("s3cret"))) as (client, _):
        with pytest.raises(RpeError) as caught:
            await echo(client, Text("x"))
    assert "s3cret" not in str(caught.value)
    assert "s3cret" in caplog.text


async def test_a_handler_that_does_not_let_the_caller_in(caplog: pytest.LogCaptureFixture) -> None:
    handler = Handler()
    handler.refusal = Refusal(StatusCode.UNAUTHENTICATED, "no")
    async with served(handler) as (client, signalling):
        with pytest.raises(Refusal):
            # Signalling without a wire has no words of its own for it.
            await echo(client, Text("x"))
        assert len(signalling.host) == 0


async def test_too_large_a_request_is_not_sent_and_too_large_an_answer_not_taken() -> None:
    handler = Handler()
    async with served(handler, max_message_bytes=1000) as (client, _):
        with pytest.raises(InvalidRequest, match="too large"):
            await echo(client, blob(2000))
        assert handler.seen == []
        handler.reply = Answer({"output": blob(2000)})
        with pytest.raises(ProtocolViolation, match="too large") as caught:
            await echo(client, Text("x"))
        assert not caught.value.retryable
        handler.reply = None
        assert await echo(client, Text("x")) == Text("x")


async def test_a_server_takes_no_larger_message_than_it_may() -> None:
    handler = Handler()
    async with served(handler, server={"max_message_bytes": 100_000}) as (client, _):
        with pytest.raises(InvalidRequest, match="at most 100000"):
            await echo(client, blob(500_000))
        assert handler.seen == []
        handler.reply = Answer({"output": blob(500_000)})
        with pytest.raises(InvalidRequest, match="an answer of"):
            await echo(client, Text("x"))
        handler.reply = None
        assert await echo(client, Text("x")) == Text("x")


async def test_metadata_that_cannot_be_sent_is_a_wrong_request() -> None:
    async with served() as (client, _):
        with pytest.raises(InvalidRequest, match="metadata"):
            await client.execute(ECHO, {"n0": Text("x")}, timeout_s=5, metadata=(("x-large", "x" * 40_000),))
        assert await echo(client, Text("x")) == Text("x")


async def test_a_closed_client_says_so() -> None:
    async with served() as (client, _):
        await echo(client, Text("x"))
        await asyncio.gather(client.close(), client.close())
        with pytest.raises(ConnectionLost, match="the client is closed") as caught:
            await echo(client, Text("x"))
        assert not caught.value.maybe_executed
        assert not caught.value.retryable


async def test_closing_ends_calls_under_way_on_both_sides() -> None:
    handler = Handler()
    handler.busy_s = 60
    async with served(handler) as (client, _):
        call = asyncio.create_task(echo(client, Text("x")))
        await handler.entered.wait()
        await client.close()
        with pytest.raises(ConnectionLost, match="closed"):
            await call
        async with asyncio.timeout(5):
            await handler.ended.wait()


# --- health ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("serving", "status"), [(True, ServingStatus.SERVING), (False, ServingStatus.NOT_SERVING)]
)
async def test_health_is_what_the_handler_says(serving: bool, status: ServingStatus) -> None:
    handler = Handler()
    handler.is_serving = serving
    async with served(handler) as (client, _):
        report = await client.check_health(timeout_s=5)
        assert (report.status, report.means) == (status, "data channel")


async def test_a_server_without_health_is_taken_to_serve_since_it_answers() -> None:
    handler = Handler()
    handler.is_serving = False
    async with served(handler, server={"health": False}) as (client, _):
        report = await client.check_health(timeout_s=5)
        assert report.status is ServingStatus.SERVING
        assert "says nothing" in report.detail
        version = await client.get_version(timeout_s=5)
        assert (version.protocol_version, version.compatible) == ("v1", True)


class NoHealth(Handler):
    async def health(self, call: ServerCall, last: bool | None) -> bool:
        raise self.reply if isinstance(self.reply, Refusal) else Refusal(StatusCode.UNIMPLEMENTED)


async def test_a_handler_may_refuse_a_health_check() -> None:
    handler: Any = NoHealth()
    async with served(handler) as (client, _):
        assert (await client.check_health(timeout_s=5)).status is ServingStatus.SERVING
        handler.reply = Refusal(StatusCode.UNAUTHENTICATED, "no")
        with pytest.raises(AuthenticationFailed):
            await client.check_health(timeout_s=5)
