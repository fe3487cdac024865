"""The gRPC client against a fake server on a real socket: what comes back as what."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from rpe.data import Audio, Binary, Json, RuntimeData, Text
from rpe.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    ErrorKind,
    InvalidRequest,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteOverloaded,
    RemoteTimeout,
    RemoteUnavailable,
    RpeError,
)
from rpe.fakes.server import FakeServer
from rpe.manifest.model import Manifest
from rpe.transport.grpc.client import GrpcPipelineClient
from rpe.transport.grpc.settings import GrpcSettings
from rpe.transport.ports import ExecutionResult, ServingStatus

ECHO = Manifest.single("echo", node_type="Echo")
TEXT = Text("a sentence, and not a short one")


@asynccontextmanager
async def connected(
    behaviour: dict[str, Any] | None = None, settings: dict[str, Any] | None = None, **config: Any
) -> AsyncIterator[tuple[FakeServer, GrpcPipelineClient]]:
    async with FakeServer(behaviour=behaviour, settings=settings) as fake:
        client = GrpcPipelineClient(fake.endpoint, GrpcSettings(**config))
        try:
            yield fake, client
        finally:
            await client.close()


async def execute(
    client: GrpcPipelineClient, data: RuntimeData = TEXT, manifest: Manifest = ECHO, timeout_s: float = 5.0
) -> ExecutionResult:
    return await client.execute(manifest, {"echo": data}, timeout_s=timeout_s)


@pytest.mark.parametrize(
    "data",
    [
        TEXT,
        Json({"a": [1, 2.5, None, "x"]}),
        Binary(b"\x00\xff" * 10),
        Audio(np.linspace(-1, 1, 320, dtype=np.float32), 16000),
    ],
    ids=lambda data: data.kind,
)
async def test_what_is_sent_comes_back_from_an_echo(data: RuntimeData) -> None:
    async with connected() as (_, client):
        assert (await execute(client, data)).output == data


@pytest.mark.parametrize(
    ("status", "error", "kind", "retryable", "maybe_executed"),
    [
        ("unavailable", RemoteUnavailable, ErrorKind.NETWORK, True, True),
        ("resource_exhausted", RemoteOverloaded, ErrorKind.NETWORK, True, False),
        ("unauthenticated", AuthenticationFailed, ErrorKind.CONFIGURATION, False, False),
        ("permission_denied", AuthenticationFailed, ErrorKind.CONFIGURATION, False, False),
        ("invalid_argument", InvalidRequest, ErrorKind.DATA_VALIDATION, False, False),
        ("not_found", InvalidRequest, ErrorKind.DATA_VALIDATION, False, False),
        ("failed_precondition", InvalidRequest, ErrorKind.DATA_VALIDATION, False, False),
        ("internal", RemoteExecutionFailed, ErrorKind.REMOTE_EXECUTION, True, True),
        ("unknown", RemoteExecutionFailed, ErrorKind.REMOTE_EXECUTION, True, True),
        ("aborted", RemoteExecutionFailed, ErrorKind.REMOTE_EXECUTION, True, True),
        ("deadline_exceeded", RemoteTimeout, ErrorKind.TIMEOUT, True, True),
        ("unimplemented", ProtocolViolation, ErrorKind.DATA_VALIDATION, True, False),
        ("cancelled", ConnectionLost, ErrorKind.NETWORK, True, True),
    ],
)
async def test_each_status_becomes_the_error_it_means(
    status: str, error: type[RpeError], kind: ErrorKind, retryable: bool, maybe_executed: bool
) -> None:
    async with connected({"error": {"status": status, "message": "by script"}}) as (fake, client):
        with pytest.raises(error) as caught:
            await execute(client)
        assert type(caught.value) is error
        assert caught.value.kind is kind
        assert caught.value.retryable is retryable
        assert caught.value.maybe_executed is maybe_executed
        assert caught.value.endpoint == fake.endpoint


@pytest.mark.parametrize(
    ("error_type", "error", "retryable"),
    [
        ("validation", InvalidRequest, False),
        ("type_validation", InvalidRequest, False),
        ("authentication", AuthenticationFailed, False),
        ("node_execution", RemoteExecutionFailed, True),
        ("internal", RemoteExecutionFailed, True),
        ("unspecified", RemoteExecutionFailed, True),
        ("version_mismatch", RemoteExecutionFailed, True),
        ("resource_limit", RemoteExecutionFailed, False),
    ],
)
async def test_an_error_that_comes_as_an_answer_names_the_failing_node(
    error_type: str, error: type[RpeError], retryable: bool
) -> None:
    script = {
        "application_error": {"error_type": error_type, "message": "out of paper", "node_id": "printer"}
    }
    async with connected(script) as (_, client):
        with pytest.raises(error, match="out of paper") as caught:
            await execute(client)
        assert caught.value.node == "printer"
        assert caught.value.retryable is retryable


@pytest.mark.parametrize("retry_after_s", [0.25, 0.0, -1.0])
@pytest.mark.parametrize("status", ["unavailable", "resource_exhausted"])
async def test_the_servers_own_retry_hint_is_read(status: str, retry_after_s: float) -> None:
    async with connected({"error": {"status": status, "retry_after_s": retry_after_s}}) as (_, client):
        with pytest.raises(RemoteOverloaded) as caught:
            await execute(client)
        told_s = caught.value.retry_after_s
        assert told_s is not None
        assert told_s == pytest.approx(retry_after_s) if retry_after_s >= 0 else told_s < 0
        assert not caught.value.maybe_executed


@pytest.mark.parametrize("mode", ["truncated_message", "bad_utf8", "empty_oneof", "garbage"])
async def test_a_corrupted_answer_is_told_as_such_and_never_handed_over(mode: str) -> None:
    async with connected({"corrupt": {"mode": mode}}) as (_, client):
        with pytest.raises(ProtocolViolation) as caught:
            await execute(client)
        assert caught.value.kind is ErrorKind.DATA_VALIDATION


async def test_audio_that_is_shorter_than_it_says_names_the_field() -> None:
    async with connected({"corrupt": {"mode": "short_audio"}}) as (_, client):
        with pytest.raises(ProtocolViolation, match="audio"):
            await execute(client, Audio(np.zeros(320, dtype=np.float32), 16000))


async def test_the_deadline_travels_with_the_request_and_ends_it() -> None:
    async with connected({"hang": {}}) as (fake, client):
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(RemoteTimeout):
            await execute(client, timeout_s=0.3)
        assert asyncio.get_running_loop().time() - began_s < 3.0
        received = [entry for entry in fake.journal.entries() if entry.kind == "received"]
        assert received[0].remaining_s is not None
        assert 0.0 < received[0].remaining_s <= 0.35  # gRPC rounds a deadline up


async def test_cancelling_cancels_the_call_at_the_server() -> None:
    async with connected({"hang": {}}) as (fake, client):
        task = asyncio.create_task(execute(client))
        await fake.journal.wait_for(lambda entry: entry.kind == "received", timeout_s=5.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await fake.journal.wait_for(lambda entry: entry.kind == "cancelled", timeout_s=5.0)


async def test_a_refused_connection_never_left_this_machine() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = GrpcPipelineClient(f"127.0.0.1:{taken.getsockname()[1]}", GrpcSettings())
        with pytest.raises(ConnectFailed) as caught:
            await execute(client)
        assert not caught.value.maybe_executed
        await client.close()


async def test_a_name_that_cannot_be_resolved_is_a_connect_failure() -> None:
    client = GrpcPipelineClient("no-such-host.invalid:50051", GrpcSettings())
    with pytest.raises((ConnectFailed, RemoteTimeout)):
        await execute(client, timeout_s=2.0)
    await client.close()


class Greeter(asyncio.Protocol):
    """Says its greeting, and then nothing."""

    def __init__(self, greeting: bytes, opened: list[asyncio.BaseTransport]) -> None:
        self.greeting = greeting
        self.opened = opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.opened.append(transport)
        if self.greeting:
            assert isinstance(transport, asyncio.WriteTransport)
            transport.write(self.greeting)


@asynccontextmanager
async def raw_server(greeting: bytes) -> AsyncIterator[str]:
    """A server that is no gRPC server."""
    opened: list[asyncio.BaseTransport] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Greeter(greeting, opened), "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        # asyncio loses the socket of a connection that is accepted while its server closes.
        await asyncio.sleep(0.05)
        server.close()
        for transport in opened:
            transport.close()
        await server.wait_closed()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""], ids=["rubbish", "silence"])
async def test_a_server_that_does_not_speak_http2_fails_within_the_deadline(greeting: bytes) -> None:
    async with raw_server(greeting) as endpoint:
        client = GrpcPipelineClient(endpoint, GrpcSettings(connect_timeout_s=0.3))
        with pytest.raises((ConnectFailed, RemoteTimeout)) as caught:
            await execute(client, timeout_s=2.0)
        assert caught.value.endpoint == endpoint
        await client.close()


async def test_a_message_above_the_limit_is_told_with_what_to_do() -> None:
    async with connected(max_message_bytes=2000) as (_, client):
        with pytest.raises(InvalidRequest, match="max_message_bytes"):
            await execute(client, Binary(b"x" * 4000))
        assert (await execute(client)).output == TEXT


async def test_an_answer_above_the_limit_is_the_servers_fault() -> None:
    async with connected() as (fake, _):
        client = GrpcPipelineClient(
            fake.endpoint, GrpcSettings(channel_options={"grpc.max_receive_message_length": 1000})
        )
        with pytest.raises(ProtocolViolation, match="too large"):
            await execute(client, Binary(b"x" * 4000))
        await client.close()


async def test_the_token_is_sent_and_a_wrong_one_is_refused() -> None:
    async with connected({"token": "s3cret"}, token="s3cret") as (fake, client):
        assert (await execute(client)).output == TEXT
        wrong = GrpcPipelineClient(fake.endpoint, GrpcSettings(token="0ther"))
        with pytest.raises(AuthenticationFailed) as caught:
            await execute(wrong)
        assert "0ther" not in str(caught.value)
        assert "s3cret" not in repr(client) + repr(GrpcSettings(token="s3cret"))
        await wrong.close()


def test_a_token_is_not_sent_in_clear_text_beyond_this_machine() -> None:
    with pytest.raises(ConfigurationError, match="clear text"):
        GrpcSettings(token="s3cret").check_token("10.1.2.3:50051")
    GrpcSettings(token="s3cret").check_token("localhost:50051")
    GrpcSettings(token="s3cret").check_token("[::1]:50051")
    GrpcSettings(token="s3cret", allow_clear_token=True).check_token("10.1.2.3:50051")


async def test_health_is_asked_by_the_health_service() -> None:
    async with connected() as (fake, client):
        report = await client.check_health(timeout_s=5.0)
        assert (report.status, report.means) == (ServingStatus.SERVING, "grpc.health.v1")
        await fake.set_behaviour({"health": "not_serving"})
        assert (await client.check_health(timeout_s=5.0)).status is ServingStatus.NOT_SERVING


async def test_health_is_asked_by_get_version_where_there_is_no_health_service() -> None:
    async with connected({"health": "unimplemented"}) as (_, client):
        for _ in range(2):
            report = await client.check_health(timeout_s=5.0)
            assert (report.status, report.means) == (ServingStatus.SERVING, "GetVersion")


async def test_a_health_check_that_hangs_times_out() -> None:
    async with connected({"health": "hang"}) as (_, client):
        with pytest.raises(RemoteTimeout):
            await client.check_health(timeout_s=0.2)


async def test_the_version_says_what_the_server_knows() -> None:
    async with connected() as (_, client):
        version = await client.get_version(timeout_s=5.0)
        assert version.compatible
        assert "Echo" in version.node_types


async def test_closing_the_client_under_a_call_ends_it_with_an_error_not_a_cancel() -> None:
    async with connected({"hang": {}}) as (fake, client):
        task = asyncio.create_task(execute(client))
        await fake.journal.wait_for(lambda entry: entry.kind == "received", timeout_s=5.0)
        await client.close()
        with pytest.raises(ConnectionLost) as caught:
            await task
        assert caught.value.maybe_executed


async def test_a_closed_client_says_so() -> None:
    async with connected() as (_, client):
        await client.close()
        with pytest.raises(RpeError):
            await execute(client)


@pytest.mark.parametrize(
    "settings", [{"connect_timeout_s": 0}, {"reconnect_s": (2.0, 1.0)}, {"max_message_bytes": -1}]
)
def test_wrong_settings_are_named(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        GrpcSettings(**settings)


def test_an_unknown_setting_is_named_beside_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"tokn") as caught:
        GrpcSettings.from_config({"tokn": "x"})
    assert "token" in caught.value.hint
