"""Servers that break the wire or the contract of gRPC, and the checks that must see it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from rpe.fakes.mouth import RawGrpcServer
from rpe.fakes.mouth.script import CallFault, ConnectionFault
from rpe.testing.fidelity import Verdict, check_server, checks_of
from tests.testing.fidelity.bad_answers import bad_answers

SOON_S = 0.3
"""How long a check of a broken server waits for what never comes."""

FRAMING = {"message-framing"}
BROKEN_WIRE: list[tuple[str, dict[str, Any], set[str]]] = [
    ("calls", {"kind": "status"}, FRAMING),
    ("calls", {"kind": "status", "status": 99}, FRAMING),
    ("calls", {"kind": "status", "status": 0}, FRAMING),
    ("calls", {"kind": "status", "after_messages": None}, FRAMING | {"trailers-on-success"}),
    ("calls", {"kind": "no_trailers"}, {"trailers-on-error"}),
    ("calls", {"kind": "no_trailers", "after_messages": None}, {"trailers-on-success", "end-of-stream"}),
    ("calls", {"kind": "reset"}, FRAMING),
    ("calls", {"kind": "reset", "code": 0, "after_messages": None}, FRAMING),
    ("calls", {"kind": "reset", "code": 8, "headers": False}, FRAMING),
    ("calls", {"kind": "goaway"}, FRAMING | {"many-calls"}),
    ("calls", {"kind": "goaway", "last": "before"}, {"many-calls"}),
    ("calls", {"kind": "goaway", "then": "silence"}, {"many-calls"}),
    ("calls", {"kind": "goaway", "then": "answer"}, {"many-calls"}),
    ("calls", {"kind": "hang"}, FRAMING),
    ("calls", {"kind": "http_status"}, {"response-headers"}),
    ("calls", {"kind": "http_status", "code": 200}, {"response-headers"}),
    ("calls", {"kind": "cut_frame"}, FRAMING),
    ("calls", {"kind": "cut_frame", "reset": True}, FRAMING),
    ("calls", {"kind": "length_prefix", "off_by": 7}, FRAMING),
    ("calls", {"kind": "length_prefix", "off_by": -7}, FRAMING),
    ("calls", {"kind": "length_prefix", "off_by": 2**31}, FRAMING),
    ("calls", {"kind": "compressed"}, FRAMING),
    ("calls", {"kind": "compressed", "encoding": "gzip"}, FRAMING),
    ("calls", {"kind": "cut_varint"}, FRAMING),
    ("calls", {"kind": "content_type"}, {"response-headers"}),
    ("calls", {"kind": "content_type", "value": None}, {"response-headers"}),
    ("calls", {"kind": "wrong_oneof"}, {"execute"}),
    ("calls", {"kind": "enum_out_of_range"}, {"execute"}),
    ("calls", {"kind": "swapped_types"}, {"execute", "version"}),
    ("calls", {"kind": "missing_field"}, {"execute", "version", "session-order"}),
    ("calls", {"kind": "stop_reading"}, {"big-message"}),
    ("connections", {"kind": "no_settings"}, {"settings-first", "ping-answered"}),
    ("connections", {"kind": "no_settings_ack"}, {"settings-acknowledged"}),
    ("connections", {"kind": "shut_window"}, {"split-message", "big-message"}),
    ("connections", {"kind": "max_streams", "streams": 0}, {"many-calls"}),
]

ALLOWED: list[tuple[str, dict[str, Any]]] = [
    ("calls", {"kind": "oversized", "size_bytes": 100_000}),
    ("calls", {"kind": "ping_storm", "count": 50}),
    ("calls", {"kind": "unknown_fields"}),
    ("connections", {"kind": "max_streams", "streams": 1}),
    ("calls", {"kind": "reset", "code": 0, "path": "NoSuchMethodAtAll"}),
]
"""What a server may do: answers of any length, any number of PINGs, one stream at a time."""

BAD_ANSWERS = bad_answers()


def fails(report: Any) -> set[str]:
    return {result.check.name for result in report.failed}


@pytest.mark.parametrize(
    ("part", "fault", "red"), BROKEN_WIRE, ids=lambda value: json.dumps(value, default=sorted)
)
async def test_a_broken_wire_goes_red(part: str, fault: dict[str, Any], red: set[str]) -> None:
    async with RawGrpcServer({part: [fault]}) as server:
        report = await check_server(server.endpoint, node_type="Echo", only=red, limit_s=SOON_S)
    assert fails(report) == red, report.text()
    assert all(result.seen for result in report.failed)


@pytest.mark.parametrize(("part", "fault"), ALLOWED, ids=json.dumps)
async def test_what_a_server_may_do_stays_green(part: str, fault: dict[str, Any]) -> None:
    some = ["settings-acknowledged", "many-calls", "cancelled-stream", "message-framing", "end-of-stream"]
    async with RawGrpcServer({part: [fault]}) as server:
        report = await check_server(server.endpoint, only=some, limit_s=10)
    assert report.passed, report.text()


def test_no_kind_of_fault_is_missing() -> None:
    tried = {fault["kind"] for _, fault, _ in BROKEN_WIRE} | {fault["kind"] for _, fault in ALLOWED}
    assert tried == {kind.model_fields["kind"].default for kind in (CallFault | ConnectionFault).__args__}


@pytest.mark.parametrize("name", BAD_ANSWERS)
async def test_a_broken_contract_goes_red(name: str) -> None:
    answer, red = BAD_ANSWERS[name]
    token = "a-t0ken" if red == {"token"} else None
    async with RawGrpcServer(answer=answer) as server:
        report = await check_server(server.endpoint, node_type="Echo", token=token, only=red, limit_s=SOON_S)
    assert fails(report) == red, report.text()


def test_each_check_has_a_server_that_it_finds_out() -> None:
    found = set().union(*(red for _, _, red in BROKEN_WIRE), *(red for _, red in BAD_ANSWERS.values()))
    assert found == {check.name for check in checks_of("grpc")}


async def test_the_reason_says_what_was_seen() -> None:
    async with RawGrpcServer({"calls": [{"kind": "no_trailers", "after_messages": None}]}) as server:
        report = await check_server(server.endpoint, node_type="Echo", only=["trailers-on-success"])
    assert report.results[0].seen == "the stream ended without trailers: END_STREAM came on a DATA frame"
    async with RawGrpcServer({"calls": [{"kind": "hang"}]}) as server:
        report = await check_server(server.endpoint, node_type="Echo", only=["execute"], limit_s=0.4)
    assert (
        report.results[0].seen == "0.4 s were over while it waited for the headers of an answer on stream 1"
    )


@pytest.mark.parametrize(
    "first", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\x08\x06\0\0\0\0\0" + bytes(8), b""]
)
async def test_what_is_no_http2_at_all_goes_red(first: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        some = ["settings-first", "ping-answered", "execute", "session-close"]
        report = await check_server(f"{host}:{port}", only=some, limit_s=SOON_S)
    assert report.node_type == "Echo"
    assert [result.verdict for result in report.results] == [Verdict.FAIL] * len(some), report.text()
