"""An authority of a test's own, and what it issues."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from rpe.fakes.certificates import Authority, Certificate


def serving(certificate: Certificate, folder: Path) -> ssl.SSLContext:
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(certificate.chain)
    key.write_bytes(certificate.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    return context


async def shake_hands(server: ssl.SSLContext, trusted: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server) as listening:
        port = listening.sockets[0].getsockname()[1]
        client = ssl.create_default_context(cadata=trusted.decode())
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
        writer.close()
        await writer.wait_closed()


async def test_who_trusts_the_authority_trusts_what_it_issues_and_nobody_else_does(tmp_path: Path) -> None:
    ours, other = Authority("ours"), Authority("other")
    context = serving(ours.issue("server"), tmp_path)
    await shake_hands(context, ours.certificate)
    with pytest.raises(ssl.SSLCertVerificationError):
        await shake_hands(context, other.certificate)


def test_keys_are_not_shown() -> None:
    certificate = Authority().issue("server")
    assert b"PRIVATE KEY" in certificate.key
    assert "PRIVATE" not in repr(certificate)
