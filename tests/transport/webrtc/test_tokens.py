"""A token travels in the signalling: by which connection what goes, once it has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rpe.data import Audio, Text
from rpe.errors import AuthenticationFailed, RpeError
from rpe.fakes import FakeServer
from rpe.transport.ports import PipelineClient, TlsSettings
from rpe.transport.registry import get_transport
from rpe.transport.webrtc.client import WebrtcPipelineClient
from tests.support.certificates import make_pair
from tests.support.handlers import Handler
from tests.support.planted import SECRET, told
from tests.support.sound import tone
from tests.support.webrtc import ECHO, others

KINDS = ("websocket", "grpc")


class Held:
    """A source of tokens in a test's hands."""

    def __init__(self, value: str) -> None:
        self.value = value
        self.refusals: list[str] = []

    async def token(self) -> str:
        return self.value

    def refused(self, token: str) -> bool:
        self.refusals.append(token)
        return token != self.value


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    before = others()
    yield
    assert others() - before == set()


@asynccontextmanager
async def client_of(endpoint: str, **config: Any) -> AsyncIterator[PipelineClient]:
    client = get_transport("webrtc").create_client(endpoint, config)
    try:
        yield client
    finally:
        await client.close()


async def echo(client: PipelineClient) -> None:
    output = (await client.execute(ECHO, {"n0": Text("x")}, timeout_s=10.0)).output
    assert output == Text("x")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refused_announcement_is_made_again_with_another_token(kind: str) -> None:
    source = Held("old")
    async with (
        FakeServer("a", "webrtc", {"token": "new"}, settings={"signalling": kind}) as fake,
        client_of(fake.endpoint, token=source, signalling=kind) as client,
    ):
        for retryable in (False, True):
            if retryable:
                # Another one may be had, though not yet: so it is with one that has to be fetched.
                source.refused = lambda token: True  # type: ignore[method-assign]
            with pytest.raises(AuthenticationFailed) as caught:
                await echo(client)
            assert caught.value.retryable is retryable
            assert not caught.value.maybe_executed
        source.value = "new"
        await echo(client)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_connection_with_a_stale_token_serves_what_runs_and_nothing_new(kind: str) -> None:
    source = Held("old")
    async with (
        FakeServer("a", "webrtc", {"token": "old"}, settings={"signalling": kind}) as fake,
        client_of(fake.endpoint, token=source, signalling=kind) as client,
    ):
        session = await client.open_stream(ECHO, timeout_s=10.0, open_timeout_s=5.0)
        await fake.set_behaviour({"token": "new"})
        source.value = "new"
        with pytest.raises(AuthenticationFailed) as caught:
            await echo(client)
        assert caught.value.retryable
        assert source.refusals == ["old"]
        await echo(client)
        await session.send(Text("y"), node_id="n0", sequence=0)
        result = await session.receive()
        assert result is not None and result.output == Text("y")
        await session.finish()
        assert await session.receive() is None
        await echo(client)
        assert source.refusals == ["old"]


async def test_where_there_is_no_other_token_the_connection_stays() -> None:
    source = Held("old")
    async with (
        FakeServer("a", "webrtc", {"token": "old"}) as fake,
        client_of(fake.endpoint, token=source) as client,
    ):
        await echo(client)
        assert isinstance(client, WebrtcPipelineClient)
        peer = client._shared.current
        await fake.set_behaviour({"token": "new"})
        with pytest.raises(AuthenticationFailed) as caught:
            await echo(client)
        assert not caught.value.retryable
        await fake.set_behaviour({"token": "old"})
        await echo(client)
        assert client._shared.current is peer


async def test_plain_mode_connects_anew_for_a_new_token_and_lets_a_session_end() -> None:
    handler, source = Handler(), Held("old")
    async with (
        get_transport("webrtc").create_server(handler, {}) as server,
        client_of(server.endpoint, token=source, mode="plain") as client,
    ):
        await echo(client)
        session = await client.open_stream(ECHO, timeout_s=10.0, open_timeout_s=5.0)
        source.value = "new"
        await echo(client)
        for sequence in (0, 1):
            await session.send(Text("y"), node_id="n0", sequence=sequence)
            result = await session.receive()
            assert result is not None and result.output == Text("y")
        await session.finish()
        assert await session.receive() is None
        await echo(client)
    told = [call.metadata["authorization"] for call in handler.calls if call.method == "stream"]
    assert told == ["Bearer old", "Bearer old", "Bearer new"]


async def test_a_session_with_sound_asks_the_source_too() -> None:
    async def sound() -> AsyncIterator[Audio]:
        yield tone(0.1)

    source = Held("old")
    async with (
        FakeServer("a", "webrtc", {"token": "new"}) as fake,
        client_of(fake.endpoint, token=source) as client,
    ):
        assert isinstance(client, WebrtcPipelineClient)
        with pytest.raises(AuthenticationFailed):
            await client.open_media(ECHO, sound(), timeout_s=10.0, open_timeout_s=5.0)
        assert source.refusals == ["old"]
        source.value = "new"
        async with await client.open_media(ECHO, sound(), timeout_s=10.0, open_timeout_s=5.0) as session:
            async with asyncio.timeout(5.0):
                assert await session.receive() is not None


@pytest.mark.parametrize("kind", KINDS)
async def test_signalling_may_ask_for_the_clients_certificate(kind: str, tmp_path: Path) -> None:
    own, known, stranger = (make_pair(name, tmp_path) for name in ("server", "client", "stranger"))
    async with FakeServer(
        "a",
        "webrtc",
        {"token": "s3cret"},
        settings={"signalling": kind},
        certificate_chain=own.certificate,
        private_key=own.key,
        client_root_certificates=known.certificate,
    ) as fake:
        for pair in (known, stranger, None):
            tls = TlsSettings(
                own.certificate,
                pair.certificate if pair else None,
                pair.key if pair else None,
                server_name="localhost",
            )
            config: dict[str, Any] = {"signalling": kind, "connect_timeout_s": 1.0}
            async with client_of(fake.endpoint, token=Held("s3cret"), tls=tls, **config) as client:
                if pair is known:
                    await echo(client)
                else:
                    with pytest.raises(RpeError) as caught:
                        await echo(client)
                    assert not isinstance(caught.value, AuthenticationFailed)
                    assert not caught.value.maybe_executed


async def test_the_cause_of_a_refusal_shows_nothing_of_the_request() -> None:
    """aiohttp's own error shows the headers of the handshake, with the token in them."""
    async with (
        FakeServer("a", "webrtc", {"token": "right"}) as fake,
        client_of(fake.endpoint, token=SECRET) as client,
    ):
        with pytest.raises(AuthenticationFailed) as caught:
            await echo(client)
        shown = told(caught.value)
        assert "WSServerHandshakeError" in shown
        assert SECRET not in shown
