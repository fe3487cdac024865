"""The gRPC client over TLS and mutual TLS, against a fake server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import rpe
from rpe.data import Text
from rpe.errors import ConnectFailed, RpeError
from rpe.fakes.server import FakeServer
from rpe.manifest.model import Manifest
from rpe.transport.ports import TlsSettings
from tests.support.certificates import Pair

ECHO = Manifest.single("echo", node_type="Echo")


async def test_a_token_travels_under_tls(certificates: Callable[[str], Pair]) -> None:
    own = certificates("server")
    async with FakeServer(
        behaviour={"token": "s3cret"}, certificate_chain=own.certificate, private_key=own.key
    ) as fake:
        tls = TlsSettings(root_certificates=own.certificate)
        async with rpe.connect([fake.endpoint], tls=tls, token="s3cret") as client:
            assert (await client.execute(ECHO, Text("x"))).output == Text("x")
            async with await client.open_stream(ECHO) as session:
                await session.send(Text("y"))
                result = await session.receive()
                assert result is not None and result.output == Text("y")


async def test_a_server_that_cannot_be_trusted_is_not_talked_to(certificates: Callable[[str], Pair]) -> None:
    own, stranger = certificates("server"), certificates("stranger")
    async with FakeServer(certificate_chain=own.certificate, private_key=own.key) as fake:
        tls = TlsSettings(root_certificates=stranger.certificate)
        async with rpe.connect([fake.endpoint], tls=tls) as client:
            with pytest.raises(RpeError) as caught:
                await client.execute(ECHO, Text("x"), timeout_s=0.9)
            assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value)
            assert {attempt.code for attempt in caught.value.attempts} == {ConnectFailed.code}
        assert fake.journal.entries() == []


async def test_mutual_tls_asks_for_the_clients_certificate(certificates: Callable[[str], Pair]) -> None:
    own, known = certificates("server"), certificates("client")
    async with FakeServer(
        certificate_chain=own.certificate,
        private_key=own.key,
        client_root_certificates=known.certificate,
    ) as fake:
        for pair in (known, None):
            tls = TlsSettings(
                root_certificates=own.certificate,
                certificate_chain=pair.certificate if pair else None,
                private_key=pair.key if pair else None,
            )
            assert "PRIVATE" not in repr(tls)
            async with rpe.connect([fake.endpoint], tls=tls) as client:
                if pair is None:
                    with pytest.raises(RpeError):
                        await client.execute(ECHO, Text("x"), timeout_s=0.9)
                else:
                    assert (await client.execute(ECHO, Text("x"))).output == Text("x")
