"""The HTTP client against a fake server on a real socket: what comes back as what."""

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
    ConnectFailed,
    ConnectionLost,
    DataValidationError,
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
from rpe.transport.http.client import HttpPipelineClient
from rpe.transport.http.settings import HttpSettings
from rpe.transport.ports import ExecutionResult, ServingStatus

ECHO = Manifest.single("echo", node_type="Echo")
TEXT = Text("a sentence, and not a short one")


@asynccontextmanager
async def connected(
    behaviour: dict[str, Any] | None = None, settings: dict[str, Any] | None = None, **config: Any
) -> AsyncIterator[tuple[FakeServer, HttpPipelineClient]]:
    async with FakeServer(transport="http", behaviour=behaviour, settings=settings) as fake:
        client = HttpPipelineClient(fake.endpoint, HttpSettings(**config))
        try:
            yield fake, client
        finally:
            await client.close()


async def execute(
    client: HttpPipelineClient, data: RuntimeData = TEXT, manifest: Manifest = ECHO, timeout_s: float = 5.0
) -> ExecutionResult:
    return await client.execute(manifest, {"echo": data}, timeout_s=timeout_s)


@pytest.mark.parametrize(
    "data",
    [
        TEXT,
        Text("labelled", metadata={"mine": "yes"}),
        Json({"a": [1, 2.5, None, "x"]}),
        Binary(b"\x00\xff" * 10),
        Audio(np.linspace(-1, 1, 320, dtype=np.float32), 16000),
        Binary(b"\x01" * 1_500_000),
    ],
    ids=lambda data: f"{data.kind}-{len(data.metadata)}",
)
async def test_what_is_sent_comes_back_from_an_echo(data: RuntimeData) -> None:
    async with connected() as (_, client):
        result = await execute(client, data)
        assert result.output == data
        assert result.wall_time_ms > 0


async def test_the_input_may_be_for_another_node_than_the_first() -> None:
    two = Manifest.from_dict(
        {
            "version": "v1",
            "nodes": [{"id": "first", "node_type": "Echo"}, {"id": "second", "node_type": "UpperCase"}],
        }
    )
    async with connected() as (_, client):
        result = await client.execute(two, {"second": Text("loud")}, timeout_s=5.0)
        assert dict(result.outputs) == {"second": Text("LOUD")}


@pytest.mark.parametrize("inputs", [{}, {"echo": TEXT, "other": TEXT}], ids=["none", "two"])
async def test_this_wire_has_room_for_one_input(inputs: dict[str, RuntimeData]) -> None:
    async with connected() as (fake, client):
        with pytest.raises(DataValidationError, match="inputs") as caught:
            await client.execute(ECHO, inputs, timeout_s=5.0)
        assert not caught.value.maybe_executed
        assert fake.journal.entries() == []


async def test_a_label_of_the_transport_cannot_be_the_datas_own() -> None:
    async with connected() as (_, client):
        with pytest.raises(DataValidationError, match="rpe-output"):
            await execute(client, Text("x", metadata={"rpe-output": "mine"}))


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
        ("out_of_range", InvalidRequest, ErrorKind.DATA_VALIDATION, False, False),
        ("internal", RemoteExecutionFailed, ErrorKind.REMOTE_EXECUTION, True, True),
        ("unknown", RemoteExecutionFailed, ErrorKind.REMOTE_EXECUTION, True, True),
        ("data_loss", RemoteExecutionFailed, ErrorKind.REMOTE_EXECUTION, True, True),
        ("aborted", RemoteExecutionFailed, ErrorKind.REMOTE_EXECUTION, True, True),
        ("deadline_exceeded", RemoteTimeout, ErrorKind.TIMEOUT, True, True),
        ("unimplemented", ProtocolViolation, ErrorKind.DATA_VALIDATION, True, False),
        ("cancelled", ConnectionLost, ErrorKind.NETWORK, True, True),
    ],
)
async def test_each_refusal_becomes_the_error_that_it_is_on_grpc_too(
    status: str, error: type[RpeError], kind: ErrorKind, retryable: bool, maybe_executed: bool
) -> None:
    async with connected({"error": {"status": status, "message": "by script"}}) as (fake, client):
        with pytest.raises(error, match="by script") as caught:
            await execute(client)
        assert type(caught.value) is error
        assert caught.value.kind is kind
        assert caught.value.retryable is retryable
        assert caught.value.maybe_executed is maybe_executed
        assert caught.value.endpoint == fake.endpoint
        assert getattr(caught.value, "error_type", "internal") == "internal"


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
async def test_an_error_of_the_pipeline_names_the_failing_node_and_keeps_its_type(
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
        if isinstance(caught.value, RemoteExecutionFailed):
            assert caught.value.error_type == error_type


@pytest.mark.parametrize("retry_after_s", [0.25, 0.0, 3.0, -1.0])
@pytest.mark.parametrize("status", ["unavailable", "resource_exhausted"])
async def test_the_servers_own_retry_hint_is_read(status: str, retry_after_s: float) -> None:
    async with connected({"error": {"status": status, "retry_after_s": retry_after_s}}) as (_, client):
        with pytest.raises(RemoteOverloaded) as caught:
            await execute(client)
        assert caught.value.retry_after_s == pytest.approx(retry_after_s)
        assert not caught.value.maybe_executed


@pytest.mark.parametrize("mode", ["truncated_message", "bad_utf8", "empty_oneof", "garbage", "short_audio"])
async def test_a_corrupted_answer_is_told_as_such_and_never_handed_over(mode: str) -> None:
    async with connected({"corrupt": {"mode": mode}}) as (fake, client):
        for data in (TEXT, Audio(np.zeros(320, dtype=np.float32), 16000), Json({})):
            with pytest.raises(ProtocolViolation) as caught:
                await execute(client, data)
            assert caught.value.kind is ErrorKind.DATA_VALIDATION
            assert caught.value.endpoint == fake.endpoint


async def test_audio_whose_samples_do_not_come_out_even_names_the_field() -> None:
    async with connected({"corrupt": {"mode": "short_audio"}}) as (_, client):
        with pytest.raises(ProtocolViolation, match=r"(?i)audio"):
            await execute(client, Audio(np.zeros(320, dtype=np.float32), 16000))


async def test_the_deadline_travels_with_the_request_and_ends_it() -> None:
    async with connected({"hang": {}}) as (fake, client):
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(RemoteTimeout):
            await execute(client, timeout_s=0.3)
        assert asyncio.get_running_loop().time() - began_s < 3.0
        received = fake.journal.entries()[0]
        assert received.remaining_s is not None
        assert 0.0 < received.remaining_s <= 0.301  # in whole milliseconds, rounded up
        end = await fake.journal.wait_for(lambda entry: entry.kind == "cancelled")
        assert end.detail == "deadline"


async def test_a_deadline_that_has_passed_sends_nothing() -> None:
    async with connected() as (fake, client):
        with pytest.raises(RemoteTimeout) as caught:
            await execute(client, timeout_s=0.0)
        assert not caught.value.maybe_executed
        assert fake.journal.entries() == []


async def test_cancelling_cancels_the_call_at_the_server() -> None:
    async with connected({"hang": {}}) as (fake, client):
        task = asyncio.create_task(execute(client))
        await fake.journal.wait_for(lambda entry: entry.kind == "received")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        end = await fake.journal.wait_for(lambda entry: entry.kind == "cancelled")
        assert end.detail == "cancelled"


async def test_the_operation_and_its_attempt_are_told() -> None:
    async with connected() as (fake, client):
        pairs = [("rpe-operation-id", "op-7"), ("rpe-attempt", "3")]
        await client.execute(ECHO, {"echo": TEXT}, timeout_s=5.0, metadata=pairs)
        assert {(entry.operation_id, entry.attempt) for entry in fake.journal} == {("op-7", 3)}


async def test_metadata_that_no_header_can_carry_is_refused_here() -> None:
    async with connected() as (fake, client):
        with pytest.raises(InvalidRequest):
            await client.execute(ECHO, {"echo": TEXT}, timeout_s=5.0, metadata=[("x-bad", "a\r\nb: c")])
        assert fake.journal.entries() == []
        assert (await execute(client)).output == TEXT


async def test_a_refused_connection_never_left_this_machine() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = HttpPipelineClient(f"127.0.0.1:{taken.getsockname()[1]}", HttpSettings())
        with pytest.raises(ConnectFailed) as caught:
            await execute(client)
        assert not caught.value.maybe_executed
        with pytest.raises(ConnectFailed):
            await client.open_stream(ECHO, timeout_s=5.0, open_timeout_s=5.0)
        with pytest.raises(ConnectFailed):
            await client.check_health(timeout_s=5.0)
        await client.close()


async def test_a_name_that_cannot_be_resolved_is_a_connect_failure() -> None:
    client = HttpPipelineClient("no-such-host.invalid:50051", HttpSettings())
    with pytest.raises((ConnectFailed, RemoteTimeout)):
        await execute(client, timeout_s=2.0)
    await client.close()


async def test_a_server_that_does_not_accept_in_time_is_a_connect_failure() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        try:
            for sock in waiting:
                sock.setblocking(False)
                sock.connect_ex(address)
            client = HttpPipelineClient(f"127.0.0.1:{address[1]}", HttpSettings(connect_timeout_s=0.1))
            with pytest.raises(ConnectFailed) as caught:
                await execute(client)
            assert not caught.value.maybe_executed
            await client.close()
        finally:
            for sock in waiting:
                sock.close()


async def test_a_request_above_the_limit_is_told_with_what_to_do() -> None:
    async with connected(max_message_bytes=2000) as (_, client):
        with pytest.raises(InvalidRequest, match="max_message_bytes"):
            await execute(client, Text("x" * 4000))
        assert (await execute(client)).output == TEXT


async def test_a_request_above_the_servers_limit_is_refused_by_it() -> None:
    async with connected(settings={"max_message_bytes": 2000}) as (_, client):
        with pytest.raises(InvalidRequest, match="413"):
            await execute(client, Text("x" * 4000))
        assert (await execute(client)).output == TEXT


async def test_the_token_is_sent_and_a_wrong_one_is_refused() -> None:
    async with connected({"token": "s3cret"}, token="s3cret") as (fake, client):
        assert (await execute(client)).output == TEXT
        wrong = HttpPipelineClient(fake.endpoint, HttpSettings(token="0ther"))
        with pytest.raises(AuthenticationFailed) as caught:
            await execute(wrong)
        assert "0ther" not in str(caught.value)
        assert "s3cret" not in repr(client) + repr(HttpSettings(token="s3cret", headers={"x": "s3cret"}))
        await wrong.close()


async def test_health_is_asked_by_its_own_path() -> None:
    async with connected({"token": "s3cret"}) as (fake, client):
        report = await client.check_health(timeout_s=5.0)
        assert (report.status, report.means) == (ServingStatus.SERVING, "GET /health")
        await fake.set_behaviour({"health": "not_serving"})
        assert (await client.check_health(timeout_s=5.0)).status is ServingStatus.NOT_SERVING
        await fake.set_behaviour({"health": "unimplemented"})
        with pytest.raises(ProtocolViolation):
            await client.check_health(timeout_s=5.0)
        await fake.set_behaviour({"health": "hang"})
        with pytest.raises(RemoteTimeout):
            await client.check_health(timeout_s=0.2)


async def test_the_version_says_what_can_be_known() -> None:
    async with connected() as (_, client):
        version = await client.get_version(timeout_s=5.0)
        assert version.compatible
        assert version.protocol_version == "v1"
