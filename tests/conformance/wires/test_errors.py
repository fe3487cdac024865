"""The same mishap is the same error on every wire: its class, may it be retried, was it done?"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import numpy as np
import pytest

from rpe.data import Audio, Text
from rpe.errors import (
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    InvalidRequest,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteOverloaded,
    RemoteTimeout,
    RemoteUnavailable,
    RpeError,
)
from rpe.fakes import Kind
from rpe.transport.registry import get_transport
from tests.support.wire_pairs import ECHO, Pairs, pipeline

STATUSES: dict[str, tuple[type[RpeError], bool, bool]] = {
    # status: class, retryable, maybe executed
    "unauthenticated": (AuthenticationFailed, False, False),
    "permission_denied": (AuthenticationFailed, False, False),
    "invalid_argument": (InvalidRequest, False, False),
    "failed_precondition": (InvalidRequest, False, False),
    "out_of_range": (InvalidRequest, False, False),
    "not_found": (InvalidRequest, False, False),
    "unimplemented": (ProtocolViolation, True, False),
    "deadline_exceeded": (RemoteTimeout, True, True),
    "unavailable": (RemoteUnavailable, True, True),
    "resource_exhausted": (RemoteOverloaded, True, False),
    "internal": (RemoteExecutionFailed, True, True),
    "unknown": (RemoteExecutionFailed, True, True),
    "aborted": (RemoteExecutionFailed, True, True),
    "data_loss": (RemoteExecutionFailed, True, True),
    "cancelled": (ConnectionLost, True, True),
}


@pytest.mark.parametrize("status", STATUSES)
async def test_a_status(pairs: Pairs, status: str) -> None:
    kind, retryable, maybe_executed = STATUSES[status]
    pair = await pairs({"error": {"status": status}})
    with pytest.raises(RpeError) as caught:
        await pair.execute(Text("x"))
    error = caught.value
    assert type(error) is kind
    assert (error.retryable, error.maybe_executed) == (retryable, maybe_executed)
    assert error.endpoint == pair.client.endpoint


@pytest.mark.parametrize("status", ["unavailable", "resource_exhausted"])
async def test_a_server_that_says_when_to_come_again(pairs: Pairs, status: str) -> None:
    pair = await pairs({"error": {"status": status, "retry_after_s": 0.25}})
    with pytest.raises(RemoteOverloaded) as caught:
        await pair.execute(Text("x"))
    assert caught.value.retry_after_s == pytest.approx(0.25)


async def test_a_server_that_says_never_to_come_again(pairs: Pairs) -> None:
    pair = await pairs({"error": {"status": "resource_exhausted", "retry_after_s": -1}})
    with pytest.raises(RemoteOverloaded) as caught:
        await pair.execute(Text("x"))
    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s < 0


APPLICATION: dict[str, tuple[type[RpeError], bool, bool]] = {
    "validation": (InvalidRequest, False, False),
    "type_validation": (InvalidRequest, False, False),
    "authentication": (AuthenticationFailed, False, False),
    "node_execution": (RemoteExecutionFailed, True, True),
    "internal": (RemoteExecutionFailed, True, True),
    "resource_limit": (RemoteExecutionFailed, False, False),
    "version_mismatch": (RemoteExecutionFailed, True, False),
}


@pytest.mark.parametrize("error_type", APPLICATION)
async def test_an_error_of_the_pipeline(pairs: Pairs, error_type: str) -> None:
    kind, retryable, maybe_executed = APPLICATION[error_type]
    script = {"error_type": error_type, "message": "it broke", "node_id": "node"}
    pair = await pairs({"application_error": script})
    with pytest.raises(RpeError, match="it broke") as caught:
        await pair.execute(Text("x"))
    error = caught.value
    assert type(error) is kind
    assert (error.retryable, error.maybe_executed) == (retryable, maybe_executed)
    assert error.node == "node"
    if isinstance(error, RemoteExecutionFailed):
        assert error.error_type == error_type


@pytest.mark.parametrize("mode", ["truncated_message", "bad_utf8", "short_audio", "empty_oneof", "garbage"])
async def test_a_broken_answer_is_never_taken_for_a_whole_one(pairs: Pairs, mode: str) -> None:
    pair = await pairs({"corrupt": {"mode": mode}})
    data: Any = Audio(np.ones(160, np.float32), 16_000) if mode == "short_audio" else Text("x")
    with pytest.raises(ProtocolViolation) as caught:
        await pair.execute(data)
    assert caught.value.maybe_executed


async def test_a_pipeline_that_does_not_exist(pairs: Pairs) -> None:
    pair = await pairs()
    with pytest.raises((InvalidRequest, RemoteExecutionFailed)) as caught:
        await pair.execute(Text("x"), pipeline("NoSuchNode"))
    assert "NoSuchNode" in str(caught.value)


async def test_nobody_listens(wire: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{taken.getsockname()[1]}"
        client = get_transport(wire).create_client(endpoint, {})
        try:
            with pytest.raises(ConnectFailed) as caught:
                await client.execute(ECHO, {"node": Text("x")}, timeout_s=5.0)
        finally:
            await client.close()
    assert caught.value.retryable
    assert not caught.value.maybe_executed


async def test_the_server_goes_while_it_works(pairs: Pairs) -> None:
    pair = await pairs()
    call = asyncio.create_task(pair.execute(Text("x"), pipeline("Delay", delay_ms=60_000)))
    await pair.fake.journal.wait_for(lambda entry: entry.kind is Kind.RECEIVED, timeout_s=10.0)
    await pair.fake.stop()
    with pytest.raises((ConnectionLost, RemoteUnavailable)) as caught:
        await call
    assert caught.value.maybe_executed


async def test_a_server_that_came_back_is_used_again(pairs: Pairs) -> None:
    pair = await pairs()
    assert await pair.execute(Text("before")) == Text("before")
    await pair.fake.restart(graceful=False)
    for _ in range(50):
        try:
            answer = await pair.execute(Text("after"))
            break
        except RpeError as error:
            assert error.retryable, error
            await asyncio.sleep(0.1)
    assert answer == Text("after")
