"""The counters are evidence that a fault fired: they move when a toxic did its work, and only then."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from rpe.faults.driver import ToxiproxyDriver
from rpe.faults.driver_state import ToxicStats
from rpe.faults.proxy import EmbeddedProxy
from tests.support.proxied import Setting, setting
from tests.support.wires import Upstream, connect


async def toxic_stats(here: Setting, name: str = "t") -> tuple[int, int, int]:
    stats = (await here.stats()).toxics[name]
    return stats.connections, stats.chunks, stats.bytes


async def test_connections_and_bytes_are_counted_while_they_are_open() -> None:
    async with setting() as here:
        client, server = await here.wires()
        await client.send(b"12345")
        await server.exactly(5)
        await server.send(b"123")
        await client.exactly(3)
        stats = await here.stats()
        assert (stats.accepted, stats.open, stats.refused_upstream) == (1, 1, 0)
        assert (stats.upstream.received, stats.upstream.sent) == (5, 5)
        assert (stats.downstream.received, stats.downstream.sent) == (3, 3)
        client.close()
        server.close()
        stats = await here.all_closed()
        assert (stats.accepted, stats.upstream.received, stats.downstream.sent) == (1, 5, 3)


async def test_what_a_toxic_swallowed_was_received_and_not_sent() -> None:
    async with setting() as here:
        await here.driver.add_toxic("p", "limit_data", stream="upstream", attributes={"bytes": 3})
        client, server = await here.wires()
        await client.send(b"1234567")
        assert await server.rest() == b"123"
        stats = await here.stats()
        assert (stats.upstream.received, stats.upstream.sent) == (7, 3)


async def test_a_refused_upstream_is_counted() -> None:
    async with setting("127.0.0.1:1") as here:
        client = await here.client()
        assert await client.receive() == b""
        stats = await here.stats()
        assert (stats.accepted, stats.refused_upstream, stats.open) == (1, 1, 0)


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("latency", {"latency": 1}),
        ("bandwidth", {"rate": 1000}),
        ("slicer", {"average_size": 2}),
        ("timeout", {"timeout": 1000}),
        ("reset_peer", {"timeout": 1000}),
        ("limit_data", {"bytes": 1}),
    ],
)
async def test_what_acts_on_bytes_counts_them(kind: str, attributes: dict[str, int]) -> None:
    async with setting() as here:
        await here.driver.add_toxic("p", kind, name="t", attributes=attributes)
        assert await toxic_stats(here) == (0, 0, 0)
        client, server = await here.wires()
        assert await toxic_stats(here) == (0, 0, 0)
        await server.send(b"12345")
        await asyncio.sleep(0.02)
        assert await toxic_stats(here) == (1, 1, 5)
        client.close()


async def test_what_acts_on_a_close_counts_the_connection() -> None:
    async with setting() as here:
        await here.driver.add_toxic("p", "slow_close", name="t", attributes={"delay": 1})
        for number in (1, 2):
            client, server = await here.wires()
            await server.send(b"x")
            await client.exactly(1)
            assert await toxic_stats(here) == (number - 1, 0, 0)
            server.close()
            await client.rest()
            assert await toxic_stats(here) == (number, 0, 0)


@pytest.mark.parametrize(
    ("kind", "toxicity", "attributes"),
    [
        ("noop", 1, {}),
        ("latency", 1, {}),
        ("latency", 0, {"latency": 1}),
        ("slow_close", 1, {"delay": 1}),
        ("limit_data", 1, {"bytes": 100}),
        ("timeout", 0, {"timeout": 1}),
    ],
)
async def test_what_did_nothing_counts_nothing(
    kind: str, toxicity: float, attributes: dict[str, int]
) -> None:
    async with setting() as here:
        await here.driver.add_toxic("p", kind, name="t", toxicity=toxicity, attributes=attributes)
        client, server = await here.wires()
        await server.send(b"12345")
        await client.exactly(5)
        assert await toxic_stats(here) == (0, 0, 0)


async def test_counters_outlive_the_toxic_and_go_on_if_it_comes_back() -> None:
    async with setting() as here:
        client, server = await here.wires()
        for number in (1, 2):
            await here.driver.add_toxic("p", "latency", name="t", attributes={"latency": 1})
            await server.send(b"x")
            await client.exactly(1)
            await here.driver.remove_toxic("p", "t")
            assert (await here.stats()).toxics["t"] == ToxicStats(
                "latency", "downstream", number, number, number
            )
        await here.driver.reset()
        assert await toxic_stats(here) == (2, 2, 2)
        await here.driver.populate([{"name": "p", "listen": here.proxy.listen, "upstream": "u:1"}])
        assert await toxic_stats(here) == (2, 2, 2)
        await here.driver.delete_proxy("p")
        assert await here.driver.stats() == {}


async def test_metrics_are_served_when_asked_for() -> None:
    upstream = Upstream()
    async with EmbeddedProxy(metrics=True) as proxy, ToxiproxyDriver(proxy.url) as driver:
        state = await driver.create_proxy('a"b', upstream=upstream.address)
        client = await connect(state.host, state.port)
        server = await upstream.accept()
        await client.send(b"1234567")
        await server.exactly(7)
        async with aiohttp.ClientSession() as session, session.get(f"{proxy.url}/metrics") as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            lines = (await response.text()).splitlines()
        labels = f'direction="upstream",listener="{state.listen}",proxy="a\\"b",upstream="{upstream.address}"'
        assert f"toxiproxy_proxy_received_bytes_total{{{labels}}} 7" in lines
        assert f"toxiproxy_proxy_sent_bytes_total{{{labels}}} 7" in lines
        assert "# TYPE toxiproxy_proxy_sent_bytes_total counter" in lines
        client.close()
        upstream.close()
