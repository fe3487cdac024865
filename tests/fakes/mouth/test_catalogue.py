"""Every fault of the wire against our gRPC client: the right error, in time, for unary calls."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from rpe.data import Text
from rpe.errors import (
    AuthenticationFailed,
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
from rpe.fakes.journal import Kind
from rpe.fakes.mouth import RawGrpcServer
from rpe.manifest.model import Manifest
from rpe.transport.grpc.client import GrpcPipelineClient
from rpe.transport.grpc.settings import GrpcSettings
from rpe.transport.ports import ServingStatus

ECHO = Manifest.single("echo", node_type="Echo")
SAID = {"echo": Text("a sentence")}
LIMIT = 256 * 1024
NETWORK, DATA, REMOTE, TIME = (
    ErrorKind.NETWORK,
    ErrorKind.DATA_VALIDATION,
    ErrorKind.REMOTE_EXECUTION,
    ErrorKind.TIMEOUT,
)

Row = tuple[dict[str, Any], type[RpeError], ErrorKind, bool, bool]

AT_ONCE: dict[str, Row] = {
    "status": ({"kind": "status"}, RemoteUnavailable, NETWORK, True, True),
    "status with a hint": (
        {"kind": "status", "retry_after_s": 0.25},
        RemoteOverloaded,
        NETWORK,
        True,
        False,
    ),
    "status that nobody knows": ({"kind": "status", "status": 99}, RemoteExecutionFailed, REMOTE, True, True),
    "status already exists": ({"kind": "status", "status": 6}, InvalidRequest, DATA, False, False),
    "OK and no message": ({"kind": "status", "status": 0}, ProtocolViolation, DATA, True, True),
    "status after the answer": (
        {"kind": "status", "status": "internal", "after_messages": None},
        RemoteExecutionFailed,
        REMOTE,
        True,
        True,
    ),
    "no trailers": ({"kind": "no_trailers"}, ConnectionLost, NETWORK, True, True),
    "no trailers, no message": (
        {"kind": "no_trailers", "after_messages": 0},
        ConnectionLost,
        NETWORK,
        True,
        True,
    ),
    "reset NO_ERROR": ({"kind": "reset", "code": 0}, ConnectionLost, NETWORK, True, True),
    "reset INTERNAL_ERROR": ({"kind": "reset", "code": 2}, ConnectionLost, NETWORK, True, True),
    "reset REFUSED_STREAM": ({"kind": "reset", "code": 7}, ConnectionLost, NETWORK, True, True),
    "reset REFUSED_STREAM without headers": (
        {"kind": "reset", "code": 7, "headers": False},
        ConnectionLost,
        NETWORK,
        True,
        True,
    ),
    "reset CANCEL": ({"kind": "reset", "code": 8}, ConnectionLost, NETWORK, True, True),
    "reset ENHANCE_YOUR_CALM": ({"kind": "reset", "code": 11}, RemoteOverloaded, NETWORK, True, True),
    "reset INADEQUATE_SECURITY": ({"kind": "reset", "code": 12}, ConnectionLost, NETWORK, True, True),
    "reset with no known code": ({"kind": "reset", "code": 99}, ConnectionLost, NETWORK, True, True),
    "reset after the answer": (
        {"kind": "reset", "after_messages": None},
        ConnectionLost,
        NETWORK,
        True,
        True,
    ),
    "goaway, this one not taken": (
        {"kind": "goaway", "last": "before", "then": "close"},
        ConnectionLost,
        NETWORK,
        True,
        True,
    ),
    "goaway, and closed": ({"kind": "goaway", "last": "this"}, ConnectionLost, NETWORK, True, True),
    "goaway with a code": (
        {"kind": "goaway", "code": 11, "debug": "too_many_pings"},
        ConnectionLost,
        NETWORK,
        True,
        True,
    ),
    "length prefix too large": ({"kind": "length_prefix", "off_by": 7}, ProtocolViolation, DATA, True, True),
    "length prefix enormous": (
        {"kind": "length_prefix", "off_by": 2**31},
        ProtocolViolation,
        DATA,
        False,
        True,
    ),
    "compressed without encoding": ({"kind": "compressed"}, ProtocolViolation, DATA, True, True),
    "compressed, and not in gzip": (
        {"kind": "compressed", "encoding": "gzip"},
        ProtocolViolation,
        DATA,
        True,
        True,
    ),
    "compressed in the unknown": (
        {"kind": "compressed", "encoding": "none-such"},
        ProtocolViolation,
        DATA,
        True,
        True,
    ),
    "cut varint": ({"kind": "cut_varint"}, ProtocolViolation, DATA, True, True),
    "oversized": ({"kind": "oversized", "size_bytes": 2 * LIMIT}, ProtocolViolation, DATA, False, True),
    "http 200": ({"kind": "http_status", "code": 200}, ConnectionLost, NETWORK, True, True),
    "http 401": (
        {"kind": "http_status", "code": 401},
        AuthenticationFailed,
        ErrorKind.CONFIGURATION,
        False,
        False,
    ),
    "http 404": ({"kind": "http_status", "code": 404}, ProtocolViolation, DATA, True, False),
    "http 429": ({"kind": "http_status", "code": 429}, RemoteUnavailable, NETWORK, True, True),
    "http 500": ({"kind": "http_status", "code": 500}, RemoteExecutionFailed, REMOTE, True, True),
    "http 503": ({"kind": "http_status"}, RemoteUnavailable, NETWORK, True, True),
    "closed inside a frame": ({"kind": "cut_frame"}, ConnectionLost, NETWORK, True, True),
    "reset inside a frame": ({"kind": "cut_frame", "reset": True}, ConnectionLost, NETWORK, True, True),
}

AT_THE_DEADLINE: dict[str, dict[str, Any]] = {
    "hang": {"calls": [{"kind": "hang"}]},
    "hang after the answer": {"calls": [{"kind": "hang", "after_messages": None}]},
    "length prefix too small": {"calls": [{"kind": "length_prefix", "off_by": -7}]},
    "goaway and silence": {"calls": [{"kind": "goaway", "then": "silence"}]},
    "shut window": {"connections": [{"kind": "shut_window"}]},
    "no streams": {"connections": [{"kind": "max_streams", "streams": 0}]},
    "no settings": {"connections": [{"kind": "no_settings"}]},
}

HARMLESS: dict[str, dict[str, Any]] = {
    "goaway, and answered": {"calls": [{"kind": "goaway", "then": "answer"}]},
    "goaway after the answer": {"calls": [{"kind": "goaway", "after_messages": None}]},
    "goaway before it was taken, once": {"calls": [{"kind": "goaway", "last": "none", "first": 1}]},
    "content type": {"calls": [{"kind": "content_type"}]},
    "no content type": {"calls": [{"kind": "content_type", "value": None}]},
    "ping storm": {"calls": [{"kind": "ping_storm"}]},
    "message just small enough": {"calls": [{"kind": "oversized", "size_bytes": LIMIT // 2}]},
    "settings never acknowledged": {"connections": [{"kind": "no_settings_ack"}]},
    "window just large enough": {"connections": [{"kind": "shut_window", "window_bytes": 4096}]},
    "one stream at a time": {"connections": [{"kind": "max_streams"}]},
}


def client_of(server: RawGrpcServer, **settings: Any) -> GrpcPipelineClient:
    return GrpcPipelineClient(server.endpoint, GrpcSettings(max_message_bytes=LIMIT, **settings))


@pytest.mark.parametrize("name", AT_ONCE)
async def test_what_breaks_a_call_becomes_its_error_at_once(name: str) -> None:
    fault, expected, kind, retryable, maybe_executed = AT_ONCE[name]
    async with RawGrpcServer({"calls": [fault]}) as server:
        client = client_of(server)
        began_s = time.monotonic()
        with pytest.raises(RpeError) as caught:
            await client.execute(ECHO, SAID, timeout_s=10)
        took_s = time.monotonic() - began_s
        await client.close()
    error = caught.value
    assert (type(error), error.kind, error.retryable, error.maybe_executed) == (
        expected,
        kind,
        retryable,
        maybe_executed,
    )
    assert error.endpoint == server.endpoint
    assert took_s < 5
    assert server.journal.entries(Kind.FAULT, fault=fault["kind"])


@pytest.mark.parametrize("name", AT_THE_DEADLINE)
async def test_what_stays_silent_is_a_timeout_at_the_deadline(name: str) -> None:
    async with RawGrpcServer(AT_THE_DEADLINE[name]) as server:
        client = client_of(server)
        began_s = time.monotonic()
        with pytest.raises(RemoteTimeout) as caught:
            await client.execute(ECHO, SAID, timeout_s=0.2)
        took_s = time.monotonic() - began_s
        await client.close()
    assert (caught.value.kind, caught.value.retryable, caught.value.maybe_executed) == (TIME, True, True)
    assert 0.15 < took_s < 3
    assert server.journal.entries(Kind.FAULT)


@pytest.mark.parametrize("name", HARMLESS)
async def test_what_a_client_has_to_bear_does_no_harm(name: str) -> None:
    async with RawGrpcServer(HARMLESS[name]) as server:
        client = client_of(server)
        for _ in range(3):
            assert (await client.execute(ECHO, SAID, timeout_s=10)).output == SAID["echo"]
        await client.close()
    assert server.journal.entries(Kind.FAULT)


async def test_a_server_that_never_greets_is_one_that_cannot_be_reached() -> None:
    async with RawGrpcServer({"connections": [{"kind": "no_settings"}]}) as server:
        client = client_of(server, connect_timeout_s=0.2)
        with pytest.raises(ConnectFailed) as caught:
            await client.execute(ECHO, SAID, timeout_s=10)
        await client.close()
    assert not caught.value.maybe_executed and caught.value.retryable


async def test_calls_wait_for_their_turn_where_one_stream_is_allowed() -> None:
    script = {"connections": [{"kind": "max_streams"}], "calls": [{"kind": "hang", "first": 1}]}
    async with RawGrpcServer(script) as server:
        client = client_of(server)
        stuck = asyncio.ensure_future(client.execute(ECHO, SAID, timeout_s=10))
        await server.journal.wait_for(lambda entry: entry.fault == "hang")
        with pytest.raises(RemoteTimeout):
            await client.execute(ECHO, SAID, timeout_s=0.1)
        assert server.journal.counts[Kind.RECEIVED] == 1
        waiting = asyncio.ensure_future(client.execute(ECHO, SAID, timeout_s=10))
        stuck.cancel()
        assert (await waiting).output == SAID["echo"]
        await asyncio.wait([stuck])
        await client.close()


@pytest.mark.parametrize("ask", ["check_health", "get_version"])
@pytest.mark.parametrize(
    "fault", [{"kind": "status", "status": 0}, {"kind": "cut_varint"}, {"kind": "length_prefix", "off_by": 9}]
)
async def test_health_and_version_are_read_as_carefully(ask: str, fault: dict[str, Any]) -> None:
    async with RawGrpcServer({"calls": [{**fault, "first": 1}]}) as server:
        client = client_of(server)
        with pytest.raises(ProtocolViolation):
            await getattr(client, ask)(timeout_s=10)
        assert (await client.check_health(timeout_s=10)).status is ServingStatus.SERVING
        assert (await client.get_version(timeout_s=10)).compatible
        await client.close()


async def test_a_hanging_call_does_not_make_its_connection_look_dead() -> None:
    """The server answers PING while it is silent, so that only the deadline ends the call."""
    async with RawGrpcServer({"calls": [{"kind": "hang"}]}) as server:
        client = client_of(server, keepalive_s=0.1, keepalive_timeout_s=0.1)
        with pytest.raises(RemoteTimeout):
            await client.execute(ECHO, SAID, timeout_s=1.0)
        await client.close()
    assert server.journal.entries(Kind.CANCELLED)
