"""TURN over TCP with a proxy in front: how a proxy that knows only TCP reaches what goes by datagram."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rpe.data import Text
from rpe.errors import NetworkError, RemoteTimeout, RpeError
from rpe.fakes.server import FakeServer
from rpe.faults.actions import Stream
from rpe.faults.driver import ProxyState
from rpe.manifest.model import Manifest
from rpe.transport.ports import PipelineClient
from rpe.transport.registry import get_transport
from tests.conformance.conftest import Subject
from tests.support.coturn import Coturn, coturn

pytestmark = pytest.mark.turn

ECHO = Manifest.single("n0", node_type="Echo")
STREAMS: tuple[Stream, ...] = ("upstream", "downstream")
HEARTBEAT = {"heartbeat_interval_s": 0.2, "grace_s": 1.0}


@pytest.fixture
async def turn() -> AsyncIterator[Coturn]:
    async with coturn() as server:
        yield server


@asynccontextmanager
async def relayed(
    turn: Coturn, subject: Subject, server: dict[str, Any] | None = None, **config: Any
) -> AsyncIterator[tuple[PipelineClient, ProxyState]]:
    """A client whose only way to a fake server is TURN over TCP through the proxy `turn`."""
    proxy = await subject.driver.create_proxy("turn", upstream=turn.address)
    settings = {
        "ice_servers": [turn.ice_server(f"{proxy.host}:{proxy.port}")],
        "ice_transport_policy": "relay",
        **HEARTBEAT,
        **config,
    }
    async with FakeServer(transport="webrtc", settings={**HEARTBEAT, **(server or {})}) as fake:
        client = get_transport("webrtc").create_client(fake.endpoint, settings)
        try:
            yield client, proxy
        finally:
            await client.close()


async def say(client: PipelineClient, said: str = "hello", timeout_s: float = 10.0) -> float:
    """Run the pipeline once, and return how long that took, in seconds."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    result = await client.execute(ECHO, {"n0": Text(said)}, timeout_s=timeout_s)
    assert result.output == Text(said)
    return loop.time() - began_s


async def test_calls_and_sessions_go_by_the_relay(turn: Coturn, subject: Subject) -> None:
    async with relayed(turn, subject) as (client, _):
        await say(client)
        await say(client, "a longer text " * 10_000)
        session = await client.open_stream(ECHO, timeout_s=20, open_timeout_s=10)
        for number in range(20):
            await session.send(Text(f"chunk {number}"), node_id="n0", sequence=number)
        await session.finish()
        answers = []
        while (result := await session.receive()) is not None:
            answers.append((result.sequence, result.output))
        assert answers == [(number, Text(f"chunk {number}")) for number in range(20)]
        if (stats := await subject.driver.stats()) is not None:
            # It did go through the proxy, and not beside it.
            assert stats["turn"].upstream.received > 100_000
            assert stats["turn"].downstream.received > 100_000


async def test_both_ends_may_be_relayed(turn: Coturn, subject: Subject) -> None:
    server = {"ice_servers": [turn.ice_server()], "ice_transport_policy": "relay"}
    async with relayed(turn, subject, server) as (client, _):
        await say(client)


async def test_latency_at_the_proxy_is_latency_of_the_calls(turn: Coturn, subject: Subject) -> None:
    async with relayed(turn, subject, grace_s=5.0) as (client, _):
        await say(client)
        quick_s = min([await say(client) for _ in range(5)])
        for stream in STREAMS:
            await subject.driver.add_toxic(
                "turn", "latency", name=stream, stream=stream, attributes={"latency": 60}
            )
        slow_s = min([await say(client) for _ in range(5)])
        # Some 0.04 s of the quick ones may be TCP's own (Nagle's algorithm and a delayed acknowledgement).
        assert quick_s < 0.12 <= slow_s
        for stream in STREAMS:
            await subject.driver.remove_toxic("turn", stream)
        assert min([await say(client) for _ in range(5)]) < slow_s


async def test_a_cut_at_the_proxy_is_noticed_and_mended(turn: Coturn, subject: Subject) -> None:
    loop = asyncio.get_running_loop()
    async with relayed(turn, subject, connect_timeout_s=2.0) as (client, _):
        await say(client)
        session = await client.open_stream(ECHO, timeout_s=30, open_timeout_s=10)
        await session.send(Text("one"), node_id="n0", sequence=0)
        assert (await session.receive()) is not None
        await subject.driver.update_proxy("turn", enabled=False)
        began_s = loop.time()
        with pytest.raises(NetworkError):  # its deadline is half a minute away: the heartbeat told it
            await session.receive()
        assert loop.time() - began_s < 10
        with pytest.raises((NetworkError, RemoteTimeout)):
            await say(client, timeout_s=3.0)
        await subject.driver.update_proxy("turn", enabled=True)
        async with asyncio.timeout(20):
            while True:
                try:
                    await say(client, "back again")
                except RpeError:
                    await asyncio.sleep(0.1)
                else:
                    break


async def test_a_wrong_password_leaves_no_way(turn: Coturn, subject: Subject) -> None:
    wrong = {**turn.ice_server(), "credential": "wrong"}
    async with relayed(turn, subject, ice_servers=[wrong], connect_timeout_s=2.0) as (client, _):
        with pytest.raises(NetworkError) as caught:
            await say(client)
    assert not caught.value.maybe_executed
    assert "wrong" not in str(caught.value)
