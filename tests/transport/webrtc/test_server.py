"""The whole server with its signalling: starting, stopping, limits, and what a killed one looks like."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rpe.data import Text
from rpe.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    RemoteOverloaded,
    RpeError,
)
from rpe.fakes import FakeProcess, FakeServer
from rpe.manifest.model import Manifest
from rpe.transport.ports import PipelineClient, TlsSettings
from rpe.transport.registry import get_transport
from rpe.transport.serving import Refusal, StatusCode
from rpe.transport.webrtc.server import WebrtcPipelineServer
from rpe.transport.webrtc.settings import WebrtcServerSettings
from tests.support.certificates import make_pair
from tests.support.handlers import Handler
from tests.support.webrtc import ECHO, others, sockets


@pytest.fixture(autouse=True)
async def nothing_is_left(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    before, tasks = sockets(), others()
    yield
    assert others() - tasks == set()
    if "grpc" not in request.node.name:
        # gRPC's core closes its sockets in its own time, also those of the test before.
        assert sockets() <= before


def server_of(handler: Any = None, **settings: Any) -> WebrtcPipelineServer:
    return WebrtcPipelineServer(handler or Handler(), WebrtcServerSettings(**settings))


@asynccontextmanager
async def client_of(endpoint: str, **config: Any) -> AsyncIterator[PipelineClient]:
    client = get_transport("webrtc").create_client(endpoint, config)
    try:
        yield client
    finally:
        await client.close()


async def echo(client: PipelineClient, said: str, timeout_s: float = 10.0) -> str:
    output = (await client.execute(ECHO, {"n0": Text(said)}, timeout_s=timeout_s)).output
    assert isinstance(output, Text)
    return output.text


async def test_it_starts_and_stops_and_starts_again() -> None:
    server = server_of()
    assert (server.endpoint, server.endpoints) == ("", {})
    await server.stop()
    for _ in range(2):
        await server.start()
        await server.start()
        async with client_of(server.endpoint) as client:
            assert await echo(client, "hi") == "hi"
        await server.stop()
        await server.stop()


async def test_both_kinds_of_signalling_lead_to_the_same_peers_grpc() -> None:
    async with server_of(signalling=("websocket", "grpc")) as server:
        assert server.endpoint == server.endpoints["websocket"]
        async with (
            client_of(server.endpoints["websocket"]) as one,
            client_of(server.endpoints["grpc"], signalling="grpc") as other,
        ):
            assert list(await asyncio.gather(echo(one, "a"), echo(other, "b"))) == ["a", "b"]
            assert server._peers is not None and len(server._peers) == 2


async def test_a_port_that_is_taken_is_told_and_nothing_runs_grpc() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = server_of(port=port, signalling=("websocket", "grpc"))
        with pytest.raises(ConfigurationError):
            await server.start()
        assert server.endpoint == ""
    await server.start()
    assert server.endpoint == f"127.0.0.1:{port}"
    await server.stop()


@pytest.mark.parametrize("kind", ["websocket", "grpc"])
async def test_a_token_is_asked_for_once_and_refused_where_it_is_wrong(kind: Any) -> None:
    handler = Handler()
    async with server_of(handler, signalling=(kind,)) as server:
        async with client_of(server.endpoint, token="s3cret", signalling=kind) as client:
            assert await echo(client, "x") == "x"
        assert handler.calls[-1].metadata["authorization"] == "Bearer s3cret"
        handler.refusal = Refusal(StatusCode.UNAUTHENTICATED, "no such token")
        async with client_of(server.endpoint, token="s3cret", signalling=kind) as client:
            with pytest.raises(AuthenticationFailed) as caught:
                await echo(client, "x")
        assert not caught.value.retryable
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["websocket", "grpc"])
async def test_more_peers_than_there_may_be_are_turned_away(kind: Any) -> None:
    async with server_of(max_peers=1, signalling=(kind,)) as server:
        async with client_of(server.endpoint, signalling=kind) as first:
            assert await echo(first, "x") == "x"
            async with client_of(server.endpoint, signalling=kind) as second:
                with pytest.raises(RemoteOverloaded) as caught:
                    await echo(second, "x")
                assert not caught.value.maybe_executed
                assert await echo(first, "y") == "y"
        async with client_of(server.endpoint, signalling=kind) as third:
            for _ in range(50):
                try:
                    assert await echo(third, "z") == "z"
                    break
                except RemoteOverloaded:
                    await asyncio.sleep(0.02)
            else:
                raise AssertionError("the place of the first was not given back")


async def test_signalling_over_tls(tmp_path: Path) -> None:
    pair = make_pair("localhost", tmp_path)
    async with server_of(certificate_chain=pair.certificate, private_key=pair.key) as server:
        tls = TlsSettings(root_certificates=pair.certificate, server_name="localhost")
        async with client_of(server.endpoint, tls=tls, token="s3cret") as client:
            assert await echo(client, "x") == "x"
        async with client_of(server.endpoint) as client:
            with pytest.raises(RpeError) as caught:
                await echo(client, "x")
            assert not caught.value.maybe_executed


async def test_a_running_call_gets_its_grace() -> None:
    handler = Handler()
    handler.busy_s = 0.2
    server = server_of(handler)
    await server.start()
    async with client_of(server.endpoint) as client:
        call = asyncio.create_task(echo(client, "x"))
        await handler.entered.wait()
        await server.stop(grace_s=5.0)
        assert await call == "x"
        with pytest.raises(ConnectFailed):
            await echo(client, "y")


async def test_without_grace_it_is_cancelled_and_its_caller_told_at_once() -> None:
    handler = Handler()
    handler.busy_s = 60
    server = server_of(handler)
    await server.start()
    async with client_of(server.endpoint) as client:
        call = asyncio.create_task(echo(client, "x"))
        await handler.entered.wait()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await server.stop()
        assert handler.ended.is_set()
        with pytest.raises(ConnectionLost):
            await call
        assert loop.time() - began_s < 2


async def test_a_stop_that_is_cancelled_ends_the_grace_and_leaves_nothing() -> None:
    handler = Handler()
    handler.busy_s = 60
    server = server_of(handler)
    await server.start()
    async with client_of(server.endpoint) as client:
        call = asyncio.create_task(echo(client, "x"))
        await handler.entered.wait()
        stopping = asyncio.create_task(server.stop(grace_s=60))
        await asyncio.sleep(0.1)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        assert handler.ended.is_set()
        with pytest.raises(ConnectionLost):
            await call


async def test_a_server_that_came_back_at_its_port_is_found_by_the_next_call() -> None:
    async with FakeServer("a", "webrtc") as fake, client_of(fake.endpoint) as client:
        assert await echo(client, "before") == "before"
        await fake.restart(graceful=False)
        assert await echo(client, "after") == "after"


@asynccontextmanager
async def process(**options: Any) -> AsyncIterator[FakeProcess]:
    async with FakeProcess("a", transport="webrtc", **options) as fake:
        yield fake


async def received(fake: FakeProcess) -> None:
    """Wait until a call has arrived."""
    async with asyncio.timeout(10):
        while not await fake.journal_entries():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


SLOW: Mapping[str, Any] = {"latency": {"fixed_s": 30.0}}


async def test_a_killed_server_is_noticed_by_its_signalling_and_its_silence() -> None:
    async with process(behaviour=SLOW) as fake, client_of(fake.endpoint, grace_s=30.0) as client:
        call = asyncio.create_task(echo(client, "x", timeout_s=30))
        await received(fake)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await fake.kill()
        with pytest.raises(ConnectionLost, match="lost") as caught:
            await call
        assert loop.time() - began_s < 3
        assert caught.value.maybe_executed
        with pytest.raises(ConnectFailed):
            await echo(client, "y", timeout_s=5)


async def test_a_paused_server_is_noticed_by_its_heart() -> None:
    settings = {"heartbeat_interval_s": 0.2, "grace_s": 1.0}
    async with process(behaviour=SLOW) as fake, client_of(fake.endpoint, **settings) as client:
        call = asyncio.create_task(echo(client, "x", timeout_s=30))
        await received(fake)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        fake.pause()
        with pytest.raises(ConnectionLost, match="nothing was heard"):
            await call
        assert 0.7 < loop.time() - began_s < 4
        fake.resume()
        await fake.set_behaviour({})
        assert await echo(client, "after") == "after"


async def test_a_plain_client_of_the_whole_transport() -> None:
    manifest = Manifest.single("own", node_type="UpperCase")
    async with (
        FakeServer("a", "webrtc", settings={"manifest": manifest}) as fake,
        client_of(fake.endpoint, mode="plain") as client,
    ):
        assert await echo(client, "abc") == "ABC"
        session = await client.open_stream(ECHO, timeout_s=10, open_timeout_s=5)
        await session.send(Text("x"), node_id="n0", sequence=0)
        await session.finish()
        result = await session.receive()
        assert result is not None and result.output == Text("X")
        assert await session.receive() is None
