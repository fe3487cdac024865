"""The gRPC server with a handler of the test's own, driven by plain stubs."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

import grpc
import pytest

from rpe.data import Text
from rpe.errors import ConfigurationError
from rpe.transport.serving import (
    Answer,
    ApplicationError,
    ConnectionCut,
    ErrorType,
    RawAnswer,
    Refusal,
    StatusCode,
)
from rpe.wire.generated.remotemedia.v1 import common_pb2, execution_pb2
from tests.support.handlers import Handler, serve
from tests.support.raw_grpc import Raw, execute_request, manifest, raw, text


async def refused(client: Raw, **options: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.echo(**options)
    return caught.value


def others() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


# --- unary calls ----------------------------------------------------------------------------------------


async def test_an_answer_carries_its_outputs_and_what_it_cost() -> None:
    handler = Handler(Answer({"n0": Text("a"), "n1": Text("b")}, wall_time_ms=2.5))
    async with serve(handler) as server, raw(server.endpoint) as client:
        result = (await client.execute(execute_request(text("hi")))).result
    assert {name: buffer.text.text_data for name, buffer in result.data_outputs.items()} == {
        "n0": b"a",
        "n1": b"b",
    }
    assert result.metrics.wall_time_ms == 2.5
    assert result.status == common_pb2.EXECUTION_STATUS_SUCCESS
    ((read, inputs),) = handler.seen
    assert [node.id for node in read.nodes] == ["n0"]
    assert inputs == {"n0": Text("hi")}


async def test_a_handler_is_told_of_the_call_and_its_metadata_is_not_in_its_text() -> None:
    handler = Handler()
    sent = (("rpe-operation-id", "op-7"), ("rpe-attempt", "3"), ("authorization", "Bearer s3cret"))
    async with serve(handler) as server, raw(server.endpoint) as client:
        await client.echo(metadata=sent, timeout=2.0)
        await client.echo(metadata=(("rpe-attempt", "many"), ("x-bin", b"\xff")), timeout=None)
    first, second = handler.calls
    assert (first.method, first.operation_id, first.attempt) == ("execute", "op-7", 3)
    assert first.metadata["authorization"] == "Bearer s3cret"
    assert "s3cret" not in repr(first)
    assert first.remaining_s is not None and 1.0 < first.remaining_s < 2.1
    assert first.peer.startswith("ipv4:127.0.0.1:")
    assert (second.operation_id, second.attempt, second.remaining_s) == ("", 0, None)
    assert second.metadata["x-bin"] == "\xff"


@pytest.mark.parametrize("kind", ErrorType)
async def test_an_application_error_comes_back_as_an_answer(kind: ErrorType) -> None:
    async with serve(Handler(ApplicationError(kind, "no", "n0"))) as server, raw(server.endpoint) as client:
        response = await client.execute(execute_request(text("hi")))
    assert response.WhichOneof("outcome") == "error"
    assert common_pb2.ErrorType.Name(response.error.error_type) == f"ERROR_TYPE_{kind.name}"
    assert (response.error.message, response.error.failing_node_id) == ("no", "n0")


@pytest.mark.parametrize("status", StatusCode)
async def test_every_status_reaches_the_caller(status: StatusCode) -> None:
    async with serve(Handler(Refusal(status, "because"))) as server, raw(server.endpoint) as client:
        error = await refused(client)
    assert error.code() is grpc.StatusCode[status.name]
    assert error.details() == "because"
    assert "grpc-retry-pushback-ms" not in dict(error.trailing_metadata() or ())


@pytest.mark.parametrize(("after_s", "trailer"), [(0.25, "250"), (0.0, "0"), (0.0001, "1"), (-1.0, "-1")])
async def test_a_refusal_says_when_to_come_back(after_s: float, trailer: str) -> None:
    refusal = Refusal(StatusCode.UNAVAILABLE, "later", retry_after_s=after_s, metadata={"x-zone": "b"})
    async with serve(Handler(refusal)) as server, raw(server.endpoint) as client:
        error = await refused(client)
    trailers = dict(error.trailing_metadata() or ())
    assert trailers["grpc-retry-pushback-ms"] == trailer
    assert trailers["x-zone"] == "b"


async def test_a_request_without_a_manifest_is_an_invalid_argument() -> None:
    handler = Handler()
    async with serve(handler) as server, raw(server.endpoint) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.execute(execution_pb2.ExecuteRequest(data_inputs={"n0": text("hi")}))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not handler.seen


@pytest.mark.parametrize(
    "request_",
    [
        execution_pb2.ExecuteRequest(manifest=execution_pb2.PipelineManifest(version="v1")),
        execution_pb2.ExecuteRequest(manifest=manifest("Echo"), data_inputs={"n0": common_pb2.DataBuffer()}),
        execute_request(text("hi"), params=["{not json"]),
    ],
)
async def test_a_manifest_or_data_that_break_their_contract_are_a_validation_error(
    request_: execution_pb2.ExecuteRequest,
) -> None:
    handler = Handler()
    async with serve(handler) as server, raw(server.endpoint) as client:
        response = await client.execute(request_)
    assert response.error.error_type == common_pb2.ERROR_TYPE_VALIDATION
    assert response.error.message
    assert not handler.seen


async def test_bytes_that_are_no_request_are_refused_and_do_no_harm() -> None:
    async with serve(Handler()) as server, raw(server.endpoint) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.execute_bytes(b"\x07 this is no message")
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert await client.echo("still here") == "still here"


async def test_a_raw_answer_goes_out_as_it_is() -> None:
    async with serve(Handler(RawAnswer(b"\x07\xff"))) as server, raw(server.endpoint) as client:
        assert await client.execute_bytes(execute_request(text("hi")).SerializeToString()) == b"\x07\xff"


async def test_a_failing_handler_is_an_internal_error_whose_text_stays_inside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serve(Handler(RuntimeError("s3cret"))) as server, raw(server.endpoint) as client:
        error = await refused(client)
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "s3cret" not in str(error)
    assert "s3cret" in caplog.text


async def test_a_cut_breaks_the_connection_with_no_status() -> None:
    handler = Handler(ConnectionCut())
    async with serve(handler) as server, raw(server.endpoint) as client:
        error = await refused(client)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "connection reset" not in str(
            error.details()
        )  # that is how it reads where no socket was found
        handler.reply = None
        with suppress(grpc.aio.AioRpcError):  # gRPC may put one more call on the connection that is dying
            await client.echo("too early", wait_for_ready=True)
        assert await client.echo("again", wait_for_ready=True) == "again"


async def test_version() -> None:
    async with serve(Handler()) as server, raw(server.endpoint) as client:
        response = await client.version(execution_pb2.VersionRequest(client_version="v1"))
    assert list(response.version_info.supported_node_types) == ["Echo"]
    assert (response.version_info.protocol_version, response.compatible) == ("v1", True)
    assert response.compatibility_message == "welcome"


@pytest.mark.parametrize("how", ["cancel", "deadline"])
async def test_a_call_that_its_caller_gave_up_cancels_the_handler(how: str) -> None:
    handler = Handler()
    handler.busy_s = 60
    async with serve(handler) as server, raw(server.endpoint) as client:
        call = client.execute(execute_request(text("hi")), timeout=0.1 if how == "deadline" else None)
        if how == "cancel":
            await asyncio.wait_for(handler.entered.wait(), 5)
            call.cancel()
        assert (
            await call.code()
            is {
                "cancel": grpc.StatusCode.CANCELLED,
                "deadline": grpc.StatusCode.DEADLINE_EXCEEDED,
            }[how]
        )
        await asyncio.wait_for(handler.ended.wait(), 5)


async def test_a_message_above_the_limit_is_refused() -> None:
    async with serve(Handler(), max_message_bytes=1000) as server, raw(server.endpoint) as client:
        assert await client.echo("x" * 800)
        error = await refused(client, said="x" * 1200)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


# --- the server itself ----------------------------------------------------------------------------------


async def test_a_taken_port_is_said_clearly() -> None:
    async with serve(Handler()) as first:
        port = int(first.endpoint.rpartition(":")[2])
        with pytest.raises(ConfigurationError, match=f"in use.*127.0.0.1:{port}"):
            await serve(Handler(), port=port).start()
        with socket.socket() as sharing:  # no more can one that would share it
            sharing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            with pytest.raises(OSError, match="in use"):
                sharing.bind(("127.0.0.1", port))
    async with serve(Handler(), port=port) as second, raw(second.endpoint) as client:
        assert await client.echo() == "hi"


async def test_ipv6() -> None:
    async with serve(Handler(), host="::1") as server, raw(server.endpoint) as client:
        assert server.endpoint.startswith("[::1]:")
        assert await client.echo() == "hi"


async def test_stop_leaves_no_task_and_breaks_off_what_runs() -> None:
    before = others()
    handler = Handler()
    handler.busy_s = 60
    server = serve(handler)
    await server.start()
    await server.start()  # harmless
    async with raw(server.endpoint) as client:
        call = client.execute(execute_request(text("hi")))
        stream = await client.session()
        await asyncio.wait_for(handler.entered.wait(), 5)
        await server.stop()
        await server.stop()  # harmless
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        assert await stream.code() is grpc.StatusCode.UNAVAILABLE
        assert handler.ended.is_set()
    assert others() - before == set()


async def test_stop_gives_running_calls_their_grace() -> None:
    handler = Handler()
    handler.busy_s = 0.1
    async with serve(handler) as server, raw(server.endpoint) as client:
        call = client.execute(execute_request(text("hi")))
        await asyncio.wait_for(handler.entered.wait(), 5)
        await asyncio.wait_for(server.stop(grace_s=30), 10)  # ends when the call does
        assert await call.code() is grpc.StatusCode.OK


async def test_cancelling_stop_ends_the_grace() -> None:
    before = others()
    handler = Handler()
    handler.busy_s = 60
    async with serve(handler) as server, raw(server.endpoint) as client:
        call = client.execute(execute_request(text("hi")))
        await asyncio.wait_for(handler.entered.wait(), 5)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(server.stop(grace_s=5), 0.05)
        assert handler.ended.is_set()
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
    assert others() - before == set()


async def test_it_can_be_started_again() -> None:
    server = serve(Handler())
    for _ in range(2):
        async with server, raw(server.endpoint) as client:
            assert await client.echo() == "hi"


@pytest.mark.parametrize(
    "settings",
    [{"certificate_chain": b"x"}, {"private_key": b"x"}, {"client_root_certificates": b"x"}],
)
async def test_half_a_tls_configuration_is_refused(settings: dict[str, bytes]) -> None:
    with pytest.raises(ConfigurationError, match="certificate_chain and private_key"):
        await serve(Handler(), **settings).start()


async def test_certificates_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="certificates"):
        await serve(Handler(), certificate_chain=b"none", private_key=b"none").start()
