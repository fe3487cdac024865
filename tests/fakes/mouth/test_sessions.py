"""The faults of the wire inside a session: what its user is told, and when."""

from __future__ import annotations

import time
from typing import Any

import grpc
import pytest

from rpe.data import Text
from rpe.errors import (
    ConnectionLost,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteTimeout,
    RemoteUnavailable,
    RpeError,
    StreamBroken,
)
from rpe.fakes.journal import Kind
from rpe.fakes.mouth import RawGrpcServer
from rpe.manifest.model import Manifest
from rpe.transport.grpc.client import GrpcPipelineClient
from rpe.transport.grpc.session import GrpcClientSession
from rpe.transport.grpc.settings import GrpcSettings
from rpe.transport.ports import ClientStreamSession

ECHO = Manifest.single("echo", node_type="Echo")


async def opened(client: GrpcPipelineClient, timeout_s: float = 10.0) -> ClientStreamSession:
    return await client.open_stream(ECHO, timeout_s=timeout_s, open_timeout_s=min(timeout_s, 5))


async def talk(session: ClientStreamSession, chunks: int = 2) -> int:
    """Send chunks and take their results in turn; return how many came before the session was closed."""
    for number in range(chunks):
        await session.send(Text(f"chunk {number}"), node_id="echo", sequence=number)
        result = await session.receive()
        assert result is not None and result.output == Text(f"chunk {number}")
    await session.finish()
    assert await session.receive() is None
    return chunks


async def test_an_honest_session() -> None:
    async with RawGrpcServer() as server:
        client = GrpcPipelineClient(server.endpoint, GrpcSettings())
        assert await talk(await opened(client), 5) == 5
        await client.close()
    assert [entry.kind for entry in server.journal] == [Kind.RECEIVED, Kind.SENT]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"kind": "status"}, RemoteUnavailable),
        ({"kind": "status", "status": 0}, ConnectionLost),
        ({"kind": "reset", "code": 7}, ConnectionLost),
        ({"kind": "goaway"}, ConnectionLost),
        ({"kind": "cut_frame"}, ConnectionLost),
        ({"kind": "http_status"}, RemoteUnavailable),
        ({"kind": "cut_varint"}, ProtocolViolation),
        ({"kind": "compressed"}, ProtocolViolation),
    ],
    ids=str,
)
async def test_a_session_that_cannot_be_opened(fault: dict[str, Any], expected: type[RpeError]) -> None:
    async with RawGrpcServer({"calls": [fault]}) as server:
        client = GrpcPipelineClient(server.endpoint, GrpcSettings())
        began_s = time.monotonic()
        with pytest.raises(RpeError) as caught:
            await opened(client)
        assert time.monotonic() - began_s < 4
        await client.close()
    assert type(caught.value) is expected


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"kind": "status", "status": "internal"}, RemoteExecutionFailed),
        ({"kind": "status", "status": 0}, StreamBroken),
        ({"kind": "reset", "code": 2}, StreamBroken),
        ({"kind": "reset", "code": 0}, StreamBroken),
        ({"kind": "goaway"}, StreamBroken),
        ({"kind": "cut_frame"}, StreamBroken),
        ({"kind": "cut_frame", "reset": True}, StreamBroken),
        ({"kind": "cut_varint"}, ProtocolViolation),
        ({"kind": "compressed"}, ProtocolViolation),
        ({"kind": "length_prefix", "off_by": -3}, ProtocolViolation),
        ({"kind": "oversized", "size_bytes": 300_000}, ProtocolViolation),
    ],
    ids=str,
)
async def test_a_session_that_breaks_at_its_second_result(
    fault: dict[str, Any], expected: type[RpeError]
) -> None:
    async with RawGrpcServer({"calls": [{**fault, "after_messages": 2}]}) as server:
        client = GrpcPipelineClient(server.endpoint, GrpcSettings(max_message_bytes=200_000))
        session = await opened(client)
        began_s = time.monotonic()
        with pytest.raises(RpeError) as caught:
            await talk(session)
        assert time.monotonic() - began_s < 5
        with pytest.raises(RpeError) as again:
            await session.receive()
        assert again.value is caught.value
        await client.close()
    assert type(caught.value) is expected
    if isinstance(caught.value, StreamBroken):
        assert caught.value.last_sequence == 0


@pytest.mark.parametrize(
    "fault", [{"kind": "hang"}, {"kind": "no_trailers"}, {"kind": "goaway", "then": "silence"}], ids=str
)
async def test_a_session_that_falls_silent_ends_at_its_deadline(fault: dict[str, Any]) -> None:
    async with RawGrpcServer({"calls": [{**fault, "after_messages": 2}]}) as server:
        client = GrpcPipelineClient(server.endpoint, GrpcSettings())
        session = await opened(client, timeout_s=0.4)
        began_s = time.monotonic()
        with pytest.raises(RemoteTimeout):
            await talk(session)
        assert time.monotonic() - began_s < 4
        await client.close()


async def test_a_stream_without_trailers_is_told_of_as_soon_as_the_caller_finishes() -> None:
    """Until then gRPC keeps to itself that the server has ended its side."""
    async with RawGrpcServer({"calls": [{"kind": "no_trailers", "after_messages": 2}]}) as server:
        client = GrpcPipelineClient(server.endpoint, GrpcSettings())
        session = await opened(client)
        began_s = time.monotonic()
        with pytest.raises(StreamBroken) as caught:
            await talk(session, 1)
        assert time.monotonic() - began_s < 4
        assert caught.value.last_sequence == 0
        await client.close()


async def test_an_opening_into_a_shut_window_ends_in_time() -> None:
    async with RawGrpcServer({"connections": [{"kind": "shut_window"}]}) as server:
        client = GrpcPipelineClient(server.endpoint, GrpcSettings())
        with pytest.raises(RemoteTimeout):
            await client.open_stream(ECHO, timeout_s=10, open_timeout_s=0.2)
        await client.close()


async def test_a_sender_waits_at_a_window_that_is_used_up_until_the_session_ends() -> None:
    script = {"connections": [{"kind": "shut_window", "window_bytes": 2000}]}
    async with RawGrpcServer(script) as server:
        client = GrpcPipelineClient(server.endpoint, GrpcSettings())
        session = await opened(client, timeout_s=0.5)
        with pytest.raises(RemoteTimeout):
            for number in range(100):
                await session.send(Text("x" * 1000), node_id="echo", sequence=number)
        await client.close()
    assert server.journal.entries(Kind.CANCELLED)


class Ended:
    """A call that has ended a moment ago: gRPC's core refuses to end its writing."""

    async def write(self, payload: bytes) -> None: ...

    async def done_writing(self) -> None:
        raise grpc.aio.InternalError("failed to execute a batch")

    async def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    async def details(self) -> str:
        return "Socket closed"

    async def initial_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata()

    trailing_metadata = initial_metadata

    def cancel(self) -> None: ...


async def test_finishing_a_call_that_has_just_ended_tells_how_it_ended() -> None:
    session = GrpcClientSession(Ended(), "127.0.0.1:1")
    with pytest.raises(ConnectionLost, match="Socket closed"):
        await session.finish()
