"""The raw server in itself: answers of one's own, chance, the journal, and its end."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import statistics
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from rpe.errors import ConfigurationError
from rpe.fakes.journal import Kind, read_entries
from rpe.fakes.mouth import RawCall, RawGrpcServer, WireScript, parse_wire_script
from rpe.transport.serving import Refusal, StatusCode

ECHO = "/any.Service/Echo"


async def echo(call: RawCall) -> bytes | None:
    """Send back each message of the request."""
    while (message := await call.read()) is not None:
        await call.send(message)
    return None


def connect(server: RawGrpcServer) -> Any:
    """A plain channel, with a connection of its own; bytes go in and out."""
    return grpc.aio.insecure_channel(server.endpoint, options=[("grpc.use_local_subchannel_pool", 1)])


async def outcomes(server: RawGrpcServer, count: int, path: str = ECHO) -> str:
    """Call so many times, and return a letter for each: o for OK, or the first one of the status."""
    told = ""
    async with connect(server) as channel:
        for _ in range(count):
            try:
                await channel.unary_unary(path)(b"x", timeout=5)
            except grpc.aio.AioRpcError as error:
                told += error.code().name[0].lower()
            else:
                told += "o"
    return told


async def test_any_path_and_any_bytes_in_all_four_kinds_of_call() -> None:
    async def requests() -> Any:
        for said in (b"a", b"", b"c" * 100_000):
            yield said

    async with RawGrpcServer(answer=echo) as server, connect(server) as channel:
        assert await channel.unary_unary(ECHO)(b"\x00\xff", timeout=5) == b"\x00\xff"
        assert [m async for m in channel.unary_stream(ECHO)(b"one", timeout=5)] == [b"one"]
        got = [m async for m in channel.stream_stream(ECHO)(requests(), timeout=5)]
        assert got == [b"a", b"", b"c" * 100_000]

    async def total(call: RawCall) -> bytes | None:
        size = 0
        while (message := await call.read()) is not None:
            size += len(message)
        return str(size).encode()

    async with RawGrpcServer(answer=total) as server, connect(server) as channel:
        assert await channel.stream_unary(ECHO)(requests(), timeout=5) == b"100001"


async def test_an_answer_knows_its_call_and_may_refuse_it() -> None:
    seen: list[RawCall] = []

    async def refuse(call: RawCall) -> bytes | None:
        seen.append(call)
        raise Refusal(StatusCode.RESOURCE_EXHAUSTED, "später", retry_after_s=0.5, metadata={"why": "load"})

    sent = (("rpe-operation-id", "op-1"), ("rpe-attempt", "2"), ("x-own", "1"))
    async with RawGrpcServer(answer=refuse) as server, connect(server) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(ECHO)(b"x", timeout=5, metadata=sent)
    trailers = dict(caught.value.trailing_metadata() or ())
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "später")
    assert (trailers["grpc-retry-pushback-ms"], trailers["why"]) == ("500", "load")
    (call,) = seen
    assert call.path == ECHO and call.metadata["x-own"] == "1"
    assert call.remaining_s is not None and 4 < call.remaining_s < 5.2
    received, failed = server.journal
    assert (received.kind, received.method, received.call) == (Kind.RECEIVED, ECHO, 1)
    assert (received.operation_id, received.attempt) == ("op-1", 2)
    assert (failed.kind, failed.detail) == (Kind.FAILED, "später")


async def test_an_answer_that_fails_is_an_internal_error_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(call: RawCall) -> bytes | None:
        raise KeyError("secret")

    async with RawGrpcServer(answer=fail) as server, connect(server) as channel:
        with caplog.at_level(logging.ERROR), pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(ECHO)(b"x", timeout=5)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(caught.value)
    assert "the answer to a call failed" in caplog.text


def rpc_status() -> type[Message]:
    """The message google.rpc.Status, as its public definition has it."""
    file = descriptor_pb2.FileDescriptorProto(
        name="status.proto", package="google.rpc", syntax="proto3", dependency=["google/protobuf/any.proto"]
    )
    message = file.message_type.add(name="Status")
    field = descriptor_pb2.FieldDescriptorProto
    message.field.add(name="code", number=1, type=field.TYPE_INT32, label=field.LABEL_OPTIONAL)
    message.field.add(name="message", number=2, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    message.field.add(
        name="details",
        number=3,
        type=field.TYPE_MESSAGE,
        label=field.LABEL_REPEATED,
        type_name=".google.protobuf.Any",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("google.rpc.Status"))


async def test_a_status_carries_details() -> None:
    detail = {"type_url": "type.googleapis.com/google.protobuf.Int32Value", "value": "0807"}
    fault = {"kind": "status", "status": "not_found", "message": "gone", "details": [detail]}
    async with (
        RawGrpcServer({"calls": [fault]}) as server,
        connect(server) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(ECHO)(b"x", timeout=5)
    packed = dict(caught.value.trailing_metadata() or ())["grpc-status-details-bin"]
    assert isinstance(packed, bytes)
    status: Any = rpc_status().FromString(packed)
    assert (status.code, status.message) == (5, "gone")
    assert (status.details[0].type_url, status.details[0].value) == (detail["type_url"], b"\x08\x07")


@pytest.mark.parametrize(
    ("firing", "expected"),
    [
        ({"after": 2}, "oouuuu"),
        ({"first": 2}, "uuoooo"),
        ({"after": 1, "first": 2}, "ouuooo"),
        ({"every": 3}, "oouoou"),
        ({"rate": 0.0}, "oooooo"),
        ({"path": "Echo", "first": 1}, "uooooo"),
        ({"path": "Other"}, "oooooo"),
    ],
    ids=str,
)
async def test_which_calls_a_fault_happens_to(firing: dict[str, Any], expected: str) -> None:
    async with RawGrpcServer({"calls": [{"kind": "status", **firing}]}, echo) as server:
        assert await outcomes(server, 6) == expected


async def test_a_fault_of_one_path_does_not_count_the_calls_of_others() -> None:
    script = {"calls": [{"kind": "status", "path": "Echo", "after": 1, "first": 1}]}
    async with RawGrpcServer(script, echo) as server:
        assert await outcomes(server, 3, "/any.Service/Other") == "ooo"
        assert await outcomes(server, 3) == "ouo"


async def test_chance_is_the_seed_and_a_fault_more_does_not_change_the_others() -> None:
    half = {"kind": "status", "rate": 0.5}
    never = {"kind": "reset", "rate": 0.0}
    told = []
    for seed, faults in ((1, [half]), (1, [half]), (1, [never, half]), (2, [half])):
        async with RawGrpcServer({"calls": faults}, echo, seed=seed) as server:
            told.append(await outcomes(server, 24))
            fired = [entry.call for entry in server.journal.entries(Kind.FAULT, fault="status")]
            assert fired == [number for number, letter in enumerate(told[-1], 1) if letter == "u"]
    assert told[0] == told[1] == told[2] != told[3]
    assert 4 < told[0].count("u") < 20


async def test_faults_of_connections_count_connections() -> None:
    script = {"connections": [{"kind": "max_streams", "after": 1, "first": 1}]}
    async with RawGrpcServer(script, echo) as server:
        for number in range(3):
            async with connect(server) as channel:
                await channel.unary_unary(ECHO)(b"x", timeout=5)
            assert len(server.journal.entries(Kind.FAULT)) == min(number, 1)


async def test_another_script_begins_anew() -> None:
    async with RawGrpcServer({"calls": [{"kind": "status", "first": 1}]}, echo) as server:
        assert await outcomes(server, 2) == "uo"
        server.set_script({"calls": [{"kind": "status", "status": "data_loss", "first": 1}]})
        assert await outcomes(server, 2) == "do"
        server.set_script(None)
        assert await outcomes(server, 1) == "o"
        assert len(server.journal.entries(Kind.SCRIPT)) == 2


def test_a_script_survives_json_and_says_what_is_wrong_with_it() -> None:
    script = parse_wire_script(
        {
            "calls": [
                {"kind": "goaway", "last": "before", "first": 2},
                {"kind": "status", "status": "ABORTED"},
            ],
            "connections": [{"kind": "shut_window", "window_bytes": 5}],
        }
    )
    assert WireScript.model_validate_json(script.model_dump_json()) == script
    for wrong, told in (
        ({"call": []}, "call"),
        ({"calls": [{"kind": "resets"}]}, "resets"),
        ({"calls": [{"kind": "reset", "codes": 1}]}, "codes"),
        ({"calls": [{"kind": "shut_window"}]}, "shut_window"),
        ({"calls": [{"kind": "status", "details": [{"type_url": "a", "value": "0"}]}]}, "value"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            parse_wire_script(wrong)


async def test_a_port_is_not_shared_and_is_free_again_at_once() -> None:
    async with RawGrpcServer(answer=echo) as server:
        port = int(server.endpoint.rpartition(":")[2])
        with pytest.raises(ConfigurationError):
            await RawGrpcServer(answer=echo, port=port).start()
    async with RawGrpcServer(answer=echo, port=port) as other:
        assert await outcomes(other, 1) == "o"


async def test_a_stopped_server_leaves_no_call_behind() -> None:
    ended = asyncio.Event()

    async def wait(call: RawCall) -> bytes | None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()
        return None

    server = RawGrpcServer(answer=wait)
    await server.start()
    async with connect(server) as channel:
        running = asyncio.ensure_future(channel.unary_unary(ECHO)(b"x", timeout=5))
        await server.journal.wait_for(lambda entry: entry.kind is Kind.RECEIVED)
        await server.stop()
        assert ended.is_set()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    await server.stop()
    assert server.journal.entries(Kind.CANCELLED)


@pytest.mark.parametrize("rounds", range(8))
async def test_a_connection_that_has_only_just_come_in_is_closed_too(rounds: int) -> None:
    """At whichever round of the loop the server stops; a socket left open is a ResourceWarning."""
    async with RawGrpcServer(answer=echo) as server:
        host, _, port = server.endpoint.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as sock:
            for _ in range(rounds):
                await asyncio.sleep(0)
            await server.stop()
            with suppress(ConnectionError):
                while sock.recv(4096):
                    pass
    gc.collect()


async def test_a_caller_that_gives_up_ends_the_answer() -> None:
    async with (
        RawGrpcServer({"calls": [{"kind": "hang"}]}) as server,
        connect(server) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary(ECHO)(b"x", timeout=0.1)
        await server.journal.wait_for(lambda entry: entry.kind is Kind.CANCELLED)


async def test_an_answer_is_not_held_back_by_the_kernel() -> None:
    took_s = []
    async with RawGrpcServer(answer=echo) as server, connect(server) as channel:
        for _ in range(21):
            began_s = time.monotonic()
            await channel.unary_unary(ECHO)(b"x", timeout=5)
            took_s.append(time.monotonic() - began_s)
    assert statistics.median(took_s) < 0.03


async def test_the_journal_is_kept_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl"
    async with RawGrpcServer({"calls": [{"kind": "reset", "first": 1}]}, echo, journal_path=path) as server:
        assert await outcomes(server, 2) == "io"
    kinds = [(entry.kind, entry.fault) for entry in read_entries(path)]
    assert kinds == [("received", ""), ("fault", "reset"), ("failed", ""), ("received", ""), ("sent", "")]
