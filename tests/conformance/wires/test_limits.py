"""Health, credentials, deadlines, cancels and big messages."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
import pytest

from rpe.data import Audio, Binary, Text
from rpe.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectFailed,
    DataValidationError,
    RemoteTimeout,
    RemoteUnavailable,
    RpeError,
)
from rpe.fakes import Kind
from rpe.transport.ports import ServingStatus
from rpe.transport.registry import get_transport
from tests.support.wire_pairs import ECHO, Pairs, pipeline

# --- health ------------------------------------------------------------------------------------------------


async def test_a_healthy_server_says_so(pairs: Pairs) -> None:
    pair = await pairs()
    report = await pair.client.check_health(timeout_s=5.0)
    assert report.status is ServingStatus.SERVING
    assert report.means
    version = await pair.client.get_version(timeout_s=5.0)
    assert version.compatible
    assert version.protocol_version == "v1"


async def test_a_server_that_does_not_serve_says_so(pairs: Pairs) -> None:
    pair = await pairs({"health": "not_serving"})
    report = await pair.client.check_health(timeout_s=5.0)
    assert report.status is ServingStatus.NOT_SERVING
    await pair.fake.set_behaviour({})
    assert (await pair.client.check_health(timeout_s=5.0)).status is ServingStatus.SERVING


async def test_a_health_check_that_hangs_times_out(pairs: Pairs) -> None:
    pair = await pairs({"health": "hang"})
    began_s = time.monotonic()
    with pytest.raises(RemoteTimeout):
        await pair.client.check_health(timeout_s=0.4)
    assert time.monotonic() - began_s >= 0.39
    await pair.fake.set_behaviour({})
    assert await pair.execute(Text("still here")) == Text("still here")


# --- credentials -------------------------------------------------------------------------------------------


async def test_the_right_token_opens_the_door(pairs: Pairs) -> None:
    pair = await pairs({"token": "right"}, token="right")
    assert await pair.execute(Text("x")) == Text("x")
    session = await pair.open()
    await session.finish()
    assert await session.receive() is None


@pytest.mark.parametrize("config", [{}, {"token": "wrong-secret"}], ids=["none", "wrong"])
async def test_any_other_does_not(pairs: Pairs, config: dict[str, Any]) -> None:
    pair = await pairs({"token": "right"}, **config)
    with pytest.raises(AuthenticationFailed) as caught:
        await pair.execute(Text("x"))
    assert not caught.value.retryable
    assert not caught.value.maybe_executed
    assert "wrong-secret" not in f"{caught.value} {caught.value!r} {pair.client!r}"
    with pytest.raises(AuthenticationFailed):
        await pair.open()
    assert pair.fake.journal.entries(Kind.SENT) == []


async def test_a_token_that_is_changed_under_a_client_is_refused_at_the_next_call(pairs: Pairs) -> None:
    pair = await pairs({"token": "old"}, token="old")
    assert await pair.execute(Text("x")) == Text("x")
    await pair.fake.set_behaviour({"token": "new"})
    with pytest.raises(AuthenticationFailed):
        await pair.execute(Text("x"))
    await pair.fake.set_behaviour({"token": "old"})
    assert await pair.execute(Text("y")) == Text("y")


def test_a_token_does_not_travel_in_clear_text_beyond_this_machine(wire: str) -> None:
    with pytest.raises(ConfigurationError, match="clear text"):
        get_transport(wire).create_client("192.0.2.1:50051", {"token": "secret"})


def test_an_unknown_setting_is_named(wire: str) -> None:
    with pytest.raises(ConfigurationError, match="retires"):
        get_transport(wire).validate_config({"retires": 3})


# --- deadlines and cancels ---------------------------------------------------------------------------------


async def test_a_deadline_ends_the_call_here_and_there(pairs: Pairs) -> None:
    pair = await pairs()
    await pair.execute(Text("warm"))
    began_s = time.monotonic()
    with pytest.raises(RemoteTimeout) as caught:
        await pair.execute(Text("x"), pipeline("Delay", delay_ms=60_000), timeout_s=0.4)
    taken_s = time.monotonic() - began_s
    assert 0.39 <= taken_s < 5
    assert caught.value.maybe_executed
    await pair.ended("execute", Kind.CANCELLED)
    assert pair.fake.journal.in_flight == 0
    assert await pair.execute(Text("next")) == Text("next")


async def test_a_cancelled_call_is_cancelled_at_the_server(pairs: Pairs) -> None:
    pair = await pairs()
    call = asyncio.create_task(pair.execute(Text("x"), pipeline("Delay", delay_ms=60_000)))
    await pair.fake.journal.wait_for(lambda entry: entry.kind is Kind.RECEIVED, timeout_s=10.0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await pair.ended("execute")).kind is Kind.CANCELLED
    assert await pair.execute(Text("next")) == Text("next")


async def test_a_call_that_is_cancelled_while_connecting_leaves_a_client_that_works(pairs: Pairs) -> None:
    pair = await pairs()
    for pause_s in (0.0, 0.001, 0.01, 0.03):
        call = asyncio.create_task(pair.execute(Text("x")))
        await asyncio.sleep(pause_s)
        call.cancel()
        await asyncio.wait([call])
    assert await pair.execute(Text("next")) == Text("next")


async def test_a_closed_client_says_so_and_closes_twice(pairs: Pairs) -> None:
    pair = await pairs()
    await pair.execute(Text("x"))
    await pair.client.close()
    await pair.client.close()
    with pytest.raises(RpeError):
        await pair.execute(Text("x"))


async def test_calls_under_way_end_when_the_client_is_closed(pairs: Pairs) -> None:
    pair = await pairs()
    call = asyncio.create_task(pair.execute(Text("x"), pipeline("Delay", delay_ms=60_000)))
    await pair.fake.journal.wait_for(lambda entry: entry.kind is Kind.RECEIVED, timeout_s=10.0)
    await pair.client.close()
    with pytest.raises((RpeError, asyncio.CancelledError)):
        await call
    assert (await pair.ended("execute")).kind is Kind.CANCELLED


async def test_a_server_that_accepts_and_says_nothing(wire: str) -> None:
    """Neither rubbish nor an answer: the deadline ends it, and nothing is left."""
    writers: list[asyncio.StreamWriter] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    client = get_transport(wire).create_client(f"{host}:{port}", {})
    before = asyncio.all_tasks()
    try:
        with pytest.raises((RemoteTimeout, ConnectFailed, RemoteUnavailable)):
            await client.execute(ECHO, {"node": Text("x")}, timeout_s=0.5)
    finally:
        await client.close()
        for writer in writers:
            writer.close()
        server.close()
        await server.wait_closed()
    await asyncio.sleep(0.05)
    assert {task for task in asyncio.all_tasks() - before if not task.done()} == set()


# --- sizes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 65_536, 262_145, 1_500_000])
async def test_a_big_message_comes_back_whole(pairs: Pairs, size: int) -> None:
    pair = await pairs()
    blob = np.random.default_rng(size).bytes(size)
    assert await pair.execute(Binary(blob), timeout_s=30) == Binary(blob)


async def test_a_minute_of_speech(pairs: Pairs) -> None:
    pair = await pairs()
    samples = np.random.default_rng(1).standard_normal(16_000 * 10).astype(np.float32)
    answer = await pair.execute(Audio(samples, 16_000), timeout_s=30)
    assert isinstance(answer, Audio)
    np.testing.assert_array_equal(answer.samples, samples)


async def test_a_message_above_the_limit_is_refused_before_or_by_the_server(pairs: Pairs) -> None:
    pair = await pairs(settings={"max_message_bytes": 200_000}, max_message_bytes=200_000)
    with pytest.raises(DataValidationError) as caught:
        await pair.execute(Binary(bytes(1_000_000)), timeout_s=20)
    assert not caught.value.retryable
    assert await pair.execute(Text("small")) == Text("small")


async def test_an_answer_above_the_limit_is_told_as_one(pairs: Pairs) -> None:
    nodes = {"Grow": lambda data, call: Text("x" * 400_000)}
    pair = await pairs(nodes=nodes, max_message_bytes=50_000)
    with pytest.raises(DataValidationError) as caught:
        await pair.execute(Text("small"), pipeline("Grow"), timeout_s=20)
    assert not caught.value.retryable
    assert await pair.execute(Text("small")) == Text("small")
