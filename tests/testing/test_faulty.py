"""Links that fail on command, alone and before the servers of a pool."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import rpe
from rpe.errors import ConfigurationError, RpeError
from rpe.faults.driver import ProxyControlError
from rpe.testing import ExpectationsUnmet, FakePipeline, FakePool, FaultyLink, FaultyLinks

ECHO = rpe.Manifest.single("n", node_type="Echo")
X = rpe.Text("x")


async def try_connect(endpoint: str) -> None:
    host, _, port = endpoint.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.close()
    await writer.wait_closed()


async def ask(link: FaultyLink, timeout_s: float = 5.0) -> float:
    """Return how long one call through the link took, in seconds."""
    loop = asyncio.get_running_loop()
    async with rpe.connect([link.endpoint]) as client:
        began_s = loop.time()
        await client.execute(ECHO, X, timeout_s=timeout_s, max_retries=0)
        return loop.time() - began_s


async def test_faults_hold_inside_their_block_only() -> None:
    async with FakePipeline() as fake, FaultyLinks() as links:
        link = await links.open(fake.endpoint)
        assert link.upstream == fake.endpoint != link.endpoint
        await ask(link)
        async with link.down():
            with pytest.raises(ConnectionRefusedError):
                await try_connect(link.endpoint)
        async with link.latency(0.05, jitter_s=0.0), link.latency(0.1, direction="up"):
            assert await ask(link) >= 0.2
        async with link.blackhole():
            with pytest.raises(RpeError):
                await ask(link, timeout_s=0.1)
        async with link.bandwidth(1000):
            assert await ask(link) >= 0.1
        await ask(link)
        told = {toxic.kind for toxic in (await link.stats()).toxics.values()}
        assert told == {"latency", "timeout", "bandwidth"}


async def test_a_fault_is_gone_however_its_block_ends() -> None:
    async with FakePipeline() as fake, FaultyLinks() as links:
        link = await links.open(fake.endpoint)
        with pytest.raises(ZeroDivisionError):
            async with link.down():
                raise ZeroDivisionError

        async def hold() -> None:
            async with link.down():
                await asyncio.get_running_loop().create_future()

        holding = asyncio.ensure_future(hold())
        while True:
            try:
                await try_connect(link.endpoint)
            except ConnectionRefusedError:
                break
        holding.cancel()
        await asyncio.wait([holding])
        await ask(link)


async def test_two_cuts_end_with_the_last() -> None:
    async with FakePipeline() as fake, FaultyLinks() as links:
        link = await links.open(fake.endpoint)
        async with link.down():
            async with link.down():
                pass
            with pytest.raises(ConnectionRefusedError):
                await try_connect(link.endpoint)
        await ask(link)


@pytest.mark.parametrize("kind", ["reset", "slow_close", "limit_data", "slicer"])
async def test_any_kind_that_a_link_can_have_is_at_hand(kind: str) -> None:
    all_settings: dict[str, dict[str, Any]] = {
        "slow_close": {"delay_s": 0.01},
        "limit_data": {"max_bytes": 10},
        "slicer": {"average_bytes": 64, "variation_bytes": 16, "delay_s": 0.0},
    }
    settings = all_settings.get(kind, {})
    async with FakePipeline() as fake, FaultyLinks() as links:
        link = await links.open(fake.endpoint, "mine")
        async with link.fault(kind, **settings):
            if kind in ("reset", "limit_data"):
                with pytest.raises(RpeError):
                    await ask(link)
            else:
                await ask(link)
        await ask(link)


@pytest.mark.parametrize(
    ("kind", "settings", "told"),
    [
        ("earthquake", {}, "there is no fault 'earthquake'"),
        ("flapping", {}, "spread over time"),
        ("kill", {}, "not done to a link"),
        ("packet_loss", {"rate": 0.5}, "not done to a link"),
        ("latency", {}, "latency_s"),
        ("latency", {"latency_s": -1}, "latency_s"),
        ("down", {"latency_s": 1}, "latency_s"),
    ],
)
async def test_a_fault_that_cannot_be_is_refused(kind: str, settings: dict[str, Any], told: str) -> None:
    async with FakePipeline() as fake, FaultyLinks() as links:
        link = await links.open(fake.endpoint)
        with pytest.raises(ConfigurationError, match=told):
            async with link.fault(kind, **settings):
                pass
        await ask(link)


async def test_links_need_their_server_and_names_of_their_own() -> None:
    links = FaultyLinks()
    with pytest.raises(ConfigurationError, match="not running"):
        await links.open("127.0.0.1:1")
    async with links:
        await links.open("127.0.0.1:1", "a")
        with pytest.raises(ProxyControlError):
            await links.open("127.0.0.1:2", "a")
    await links.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("transport", ["grpc", "http"])
async def test_a_pool_has_a_link_before_each_server(transport: str) -> None:
    async with FakePool(3, transport) as pool, rpe.connect(pool.endpoints, transport=transport) as client:
        assert [member.name for member in pool] == ["a", "b", "c"] and len(pool) == 3
        assert pool.endpoints == [pool[name].endpoint for name in "abc"]
        pool["a"].fake.expect(times=0)
        pool["b"].fake.expect(at_least=1)
        async with pool["a"].down():
            for _ in range(6):
                await client.execute(ECHO, X)
    assert sum(member.fake.calls.count for member in pool) == 6


async def test_what_is_unmet_at_any_server_of_a_pool_is_raised_at_its_end() -> None:
    with pytest.raises(ExpectationsUnmet, match=r"(?s)^fake a:\n.*\nfake c:\n"):
        async with FakePool(["a", "b", "c"]) as pool:
            pool["a"].fake.expect()
            pool["c"].fake.expect()
            assert "fake a" in pool.problems() and "fake b" not in pool.problems()
    pool.verify()


@pytest.mark.parametrize("servers", [0, 27, True, [], ["a", "a"], [""]])
def test_a_pool_has_servers_with_names_of_their_own(servers: Any) -> None:
    with pytest.raises(ConfigurationError):
        FakePool(servers)


async def test_what_a_pool_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="WebRTC"):
        FakePool(2, "webrtc")
    pool = FakePool()
    with pytest.raises(ConfigurationError, match="before the pool is started"):
        pool["a"]
    async with pool:
        with pytest.raises(ConfigurationError, match="no server 'z'"):
            pool["z"]
    await pool.stop()
