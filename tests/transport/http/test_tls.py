"""The HTTP client and server over TLS and mutual TLS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rpe.data import Text
from rpe.errors import ConfigurationError, ConnectFailed, ConnectionLost
from rpe.fakes.server import FakeServer
from rpe.manifest.model import Manifest
from rpe.transport.http.client import HttpPipelineClient
from rpe.transport.http.settings import HttpSettings
from rpe.transport.ports import TlsSettings
from tests.support.certificates import Pair

ECHO = Manifest.single("echo", node_type="Echo")


async def echo(endpoint: str, tls: TlsSettings | None, **settings: str) -> None:
    client = HttpPipelineClient(endpoint, HttpSettings(tls=tls, **settings))  # type: ignore[arg-type]
    try:
        assert (await client.execute(ECHO, {"echo": Text("x")}, timeout_s=5.0)).output == Text("x")
        session = await client.open_stream(ECHO, timeout_s=5.0, open_timeout_s=5.0)
        await session.send(Text("y"), node_id="echo", sequence=0)
        result = await session.receive()
        assert result is not None
        assert result.output == Text("y")
        await session.finish()
        assert await session.receive() is None
    finally:
        await client.close()


async def test_a_token_travels_under_tls(certificates: Callable[[str], Pair]) -> None:
    own = certificates("server")
    script = {"token": "s3cret"}
    async with FakeServer(
        transport="http", behaviour=script, certificate_chain=own.certificate, private_key=own.key
    ) as fake:
        trusting = TlsSettings(root_certificates=own.certificate)
        await echo(fake.endpoint, trusting, token="s3cret")
        await echo(f"https://{fake.endpoint}", trusting, token="s3cret")


async def test_a_server_may_have_another_name_than_its_address(certificates: Callable[[str], Pair]) -> None:
    own = certificates("server")
    async with FakeServer(transport="http", certificate_chain=own.certificate, private_key=own.key) as fake:
        await echo(fake.endpoint, TlsSettings(root_certificates=own.certificate, server_name="localhost"))
        with pytest.raises(ConnectFailed, match="CERTIFICATE_VERIFY_FAILED"):
            await echo(fake.endpoint, TlsSettings(root_certificates=own.certificate, server_name="other"))


async def test_a_server_that_cannot_be_trusted_is_not_talked_to(certificates: Callable[[str], Pair]) -> None:
    own, stranger = certificates("server"), certificates("stranger")
    async with FakeServer(transport="http", certificate_chain=own.certificate, private_key=own.key) as fake:
        for endpoint, tls in (
            (fake.endpoint, TlsSettings(root_certificates=stranger.certificate)),
            (f"https://{fake.endpoint}", None),
        ):
            with pytest.raises(ConnectFailed, match="CERTIFICATE_VERIFY_FAILED") as caught:
                await echo(endpoint, tls)
            assert not caught.value.maybe_executed
        assert fake.journal.entries() == []


async def test_mutual_tls_asks_for_the_clients_certificate(certificates: Callable[[str], Pair]) -> None:
    own, known, stranger = (certificates(name) for name in ("server", "client", "stranger"))
    async with FakeServer(
        transport="http",
        certificate_chain=own.certificate,
        private_key=own.key,
        client_root_certificates=known.certificate,
    ) as fake:
        await echo(fake.endpoint, TlsSettings(own.certificate, known.certificate, known.key))
        count = len(fake.journal)
        for tls in (
            TlsSettings(own.certificate),
            TlsSettings(own.certificate, stranger.certificate, stranger.key),
        ):
            # With TLS 1.3 the server refuses after the client has sent its request, and the reset
            # that follows may overtake the alert: then nobody here can know that it was not read.
            with pytest.raises((ConnectFailed, ConnectionLost)):
                await echo(fake.endpoint, tls)
        assert len(fake.journal) == count


async def test_clear_text_to_a_tls_server_and_the_reverse(certificates: Callable[[str], Pair]) -> None:
    own = certificates("server")
    async with FakeServer(transport="http", certificate_chain=own.certificate, private_key=own.key) as fake:
        with pytest.raises(Exception, match="connection") as caught:
            await echo(fake.endpoint, None)
        assert type(caught.value).__module__ == "rpe.errors"
    async with FakeServer(transport="http") as fake:
        with pytest.raises(ConnectFailed):
            await echo(fake.endpoint, TlsSettings(root_certificates=own.certificate))


def test_certificates_that_cannot_be_used_are_told_at_once(certificates: Callable[[str], Pair]) -> None:
    one, other = certificates("server"), certificates("client")
    for tls in (
        TlsSettings(root_certificates=b"rubbish"),
        TlsSettings(root_certificates=b"\xff"),
        TlsSettings(one.certificate, one.certificate, other.key),
        TlsSettings(one.certificate, certificate_chain=one.certificate),
        TlsSettings(one.certificate, private_key=one.key),
    ):
        with pytest.raises(ConfigurationError) as caught:
            HttpPipelineClient("127.0.0.1:1", HttpSettings(tls=tls))
        assert "PRIVATE" not in str(caught.value)


def test_no_key_is_left_in_a_file(
    certificates: Callable[[str], Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = certificates("server")
    tls = TlsSettings(own.certificate, own.certificate, own.key)
    HttpPipelineClient("127.0.0.1:1", HttpSettings(tls=tls))
    assert list(tmp_path.iterdir()) == []
