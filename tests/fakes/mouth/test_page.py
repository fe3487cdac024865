"""The table in the documentation says what happens: each row is tried."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest

from rpe.data import Text
from rpe.errors import RpeError
from rpe.fakes.mouth import RawGrpcServer
from rpe.fakes.mouth.script import CallFault, ConnectionFault
from rpe.manifest.model import Manifest
from rpe.transport.grpc.client import GrpcPipelineClient
from rpe.transport.grpc.settings import GrpcSettings
from tests.support.raw_grpc import EXECUTE, execute_request, text

PAGE = Path(__file__).resolve().parents[3] / "docs" / "fakes-wire-faults.md"
ECHO = Manifest.single("echo", node_type="Echo")


class Row(NamedTuple):
    name: str
    script: dict[str, Any]
    grpcio: str
    rpe: str


def rows() -> list[Row]:
    found = re.findall(
        r"^\| (.+?) \| `(calls|connections)` \| `(.+?)` \| (.+?) \| (.+?) \|$", PAGE.read_text(), re.M
    )
    return [Row(name, {part: [json.loads(fault)]}, grpcio, told) for name, part, fault, grpcio, told in found]


async def grpcio_says(endpoint: str, timeout_s: float) -> tuple[str, str]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(endpoint, options=options) as channel:
        execute: Any = channel.unary_unary(EXECUTE)
        try:
            payload = await execute(execute_request(text("x")).SerializeToString(), timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details() or ""
        return ("OK", "") if payload is not None else ("OK, with None for the message", "")


async def rpe_says(endpoint: str, timeout_s: float) -> str:
    client = GrpcPipelineClient(endpoint, GrpcSettings())
    try:
        result = await client.execute(ECHO, {"echo": Text("x")}, timeout_s=timeout_s)
    except RpeError as error:
        again = "retryable" if error.retryable else "final"
        done = "maybe executed" if error.maybe_executed else "not executed"
        return f"`{type(error).__name__}`, {again}, {done}"
    finally:
        await client.close()
    if not result.outputs:
        return "served, with nothing"
    return "served" if result.output == Text("x") else f"served, with {result.output.kind}"


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
async def test_a_row(row: Row) -> None:
    # Only where nothing ends the call but its deadline is that a short one.
    timeout_s = 0.3 if "DEADLINE_EXCEEDED" in row.grpcio else 10.0
    async with RawGrpcServer(row.script) as server:
        code, details = await grpcio_says(server.endpoint, timeout_s)
    told = re.fullmatch(r"([^`]+?)(?:, `(.*)`[^`]*)?", row.grpcio)
    assert told is not None
    assert code == told[1]
    assert (told[2] or "") in details
    async with RawGrpcServer(row.script) as server:
        assert await rpe_says(server.endpoint, timeout_s) == row.rpe


def test_no_kind_of_fault_is_missing() -> None:
    shown = {fault["kind"] for row in rows() for part in row.script.values() for fault in part}
    kinds = {kind.model_fields["kind"].default for kind in (CallFault | ConnectionFault).__args__}
    assert shown == kinds
    assert len(rows()) >= 40
