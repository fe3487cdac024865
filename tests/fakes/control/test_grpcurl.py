"""grpcurl, which is not ours: it speaks version 1 of reflection first."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rpe.fakes import FakeServer
from rpe.fakes.certificates import Authority
from rpe.fakes.definition.fake import ProtoFake

ROOT = Path(__file__).resolve().parents[3]
GRPCURL = shutil.which("grpcurl") or str(ROOT / ".tools" / "bin" / "grpcurl")

pytestmark = [
    pytest.mark.grpcurl,
    pytest.mark.skipif(not Path(GRPCURL).exists(), reason="grpcurl is missing: make grpcurl"),
]

RULES: dict[str, Any] = {
    "GetItem": [{"answer": {"message": {"id": "${request.id}", "price_cents": 250}}}],
    "ListItems": [{"answer": {"messages": [{"message": {"id": "a"}}, {"message": {"id": "b"}}]}}],
    "Chat": [{"answer": {"each": [{"message": {"id": "${request.id}!"}}]}}],
}


async def grpcurl(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        GRPCURL, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


def messages(text: str) -> list[Any]:
    decoder, found, text = json.JSONDecoder(), [], text.strip()
    while text:
        form, end = decoder.raw_decode(text)
        found.append(form)
        text = text[end:].strip()
    return found


async def check_all(endpoint: str, *how: str) -> None:
    listed = (await grpcurl(*how, endpoint, "list")).split()
    assert listed == [
        "grpc.channelz.v1.Channelz",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "shop.v1.Shop",
    ]
    described = await grpcurl(*how, endpoint, "describe")  # every service that is listed
    assert "rpc Chat ( stream .shop.v1.ItemRequest ) returns ( stream .shop.v1.Item );" in described
    assert ".grpc.reflection.v1.ServerReflectionRequest" in described
    assert "rpc GetServers" in described
    unary = await grpcurl(*how, "-d", '{"id": "7"}', endpoint, "shop.v1.Shop/GetItem")
    assert messages(unary) == [{"id": "7", "priceCents": "250"}]
    stream = await grpcurl(*how, endpoint, "shop.v1.Shop/ListItems")
    assert messages(stream) == [{"id": "a"}, {"id": "b"}]
    both = await grpcurl(*how, "-d", '{"id": "x"} {"id": "y"}', endpoint, "shop.v1.Shop/Chat")
    assert messages(both) == [{"id": "x!"}, {"id": "y!"}]
    health = await grpcurl(*how, "-d", '{"service": "shop.v1.Shop"}', endpoint, "grpc.health.v1.Health/Check")
    assert messages(health) == [{"status": "SERVING"}]


async def test_it_lists_describes_and_calls_with_and_without_tls(define: Any, tmp_path: Path) -> None:
    authority = Authority()
    server = authority.issue("fake")
    roots = tmp_path / "roots.pem"
    roots.write_bytes(authority.certificate)
    definitions = define(**RULES)
    async with (
        ProtoFake(definitions, channelz=True) as plain,
        ProtoFake(
            definitions, channelz=True, certificate_chain=server.chain, private_key=server.key
        ) as secret,
    ):
        await check_all(plain.endpoint, "-plaintext")
        await check_all(secret.endpoint, "-cacert", str(roots))


async def test_it_knows_a_pipeline_server_too(tmp_path: Path) -> None:
    async with FakeServer() as fake:
        described = await grpcurl("-plaintext", fake.endpoint, "describe")
        assert "rpc ExecutePipeline ( .remotemedia.v1.ExecuteRequest )" in described
        assert ".grpc.reflection.v1.ServerReflectionRequest" in described
        version = await grpcurl(
            "-plaintext", fake.endpoint, "remotemedia.v1.PipelineExecutionService/GetVersion"
        )
        assert "rpe-fake" in version
