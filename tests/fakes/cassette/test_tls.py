"""Servers with certificates are recorded over TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

import rpe
from rpe.errors import NetworkError
from rpe.fakes import FakeServer
from rpe.fakes.cassette import Recorder, read_cassette
from rpe.fakes.certificates import Authority
from rpe.manifest.model import Manifest
from rpe.transport.grpc.client import GrpcPipelineClient
from rpe.transport.grpc.settings import GrpcSettings

ECHO = Manifest.single("echo", node_type="Echo")


@asynccontextmanager
async def recording(wire: str, cassette: Path, ca: Path | None) -> AsyncIterator[str]:
    ours = Authority()
    if ca is not None:
        ca.write_bytes(ours.certificate)  # noqa: ASYNC240
    server = ours.issue("server")
    async with (
        FakeServer(transport=wire, certificate_chain=server.chain, private_key=server.key) as fake,
        Recorder(f"{wire}s://{fake.endpoint}", path=cassette, ca=ca) as recorder,
    ):
        yield recorder.endpoint


async def use(wire: str, endpoint: str) -> None:
    if wire == "http":
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{endpoint}/health", raise_for_status=True),
        ):
            return
    client = GrpcPipelineClient(endpoint, GrpcSettings())
    try:
        await client.execute(ECHO, {"echo": rpe.Text("x")}, timeout_s=5)
    finally:
        await client.close()


@pytest.mark.parametrize("wire", ["grpc", "http"])
async def test_a_certificate_of_a_given_authority_is_trusted(
    wire: str, cassette: Path, tmp_path: Path
) -> None:
    async with recording(wire, cassette, tmp_path / "ca.pem") as endpoint:
        await use(wire, endpoint)
    read = read_cassette(cassette)
    assert read.head.upstream.startswith(f"{wire}s://")
    assert [call.end.how for call in read.calls if call.end] == ["complete" if wire == "http" else "status"]


@pytest.mark.parametrize("wire", ["grpc", "http"])
async def test_no_other_certificate_is(wire: str, cassette: Path) -> None:
    async with recording(wire, cassette, None) as endpoint:
        with pytest.raises((NetworkError, aiohttp.ClientResponseError)):
            await use(wire, endpoint)
    assert [call.end.how for call in read_cassette(cassette).calls if call.end] == ["unreached"]
