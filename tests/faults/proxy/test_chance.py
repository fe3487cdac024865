"""Chance is derived from the root seed by name: it repeats, and no toxic shifts another's draws."""

from __future__ import annotations

from rpe.faults.driver import ToxiproxyDriver
from rpe.faults.proxy import EmbeddedProxy
from rpe.faults.proxy.link import Link
from tests.support.proxied import Setting, setting
from tests.support.wires import Upstream, Wire, connect

CONNECTIONS = 24


async def struck(here: Setting) -> list[bool]:
    """Say of each of so many connections whether the toxic acted on it."""
    outcomes = []
    for _ in range(CONNECTIONS):
        client, server = await here.wires()
        await server.send(b"x")
        outcomes.append(await client.receive() == b"")
        client.close()
        server.close()
    return outcomes


async def outcomes(seed: int, *others: str) -> list[bool]:
    async with setting(seed=seed) as here:
        for other in others:
            await here.driver.add_toxic("p", "latency", name=other, toxicity=0.5, attributes={"jitter": 1})
        await here.driver.add_toxic("p", "limit_data", name="half", toxicity=0.5, attributes={"bytes": 0})
        return await struck(here)


async def test_the_same_seed_strikes_the_same_connections() -> None:
    first = await outcomes(7)
    assert await outcomes(7) == first
    assert await outcomes(8) != first
    assert len(set(first)) == 2


async def test_another_toxic_shifts_no_draw() -> None:
    assert await outcomes(7, "before", "and another") == await outcomes(7)


async def test_toxics_connections_and_directions_draw_for_themselves() -> None:
    async with EmbeddedProxy(seed=1) as proxy, ToxiproxyDriver(proxy.url) as driver:
        upstream = Upstream()
        state = await driver.create_proxy("p", upstream=upstream.address)
        for name in ("a", "b"):
            for stream in ("upstream", "downstream"):
                await driver.add_toxic("p", "noop", name=f"{name}_{stream}", stream=stream)
        wires = [upstream.keep(await connect(state.host, state.port)) for _ in range(5)]
        for wire in wires:
            await wire.send(b"x")
            await (await upstream.accept()).exactly(1)
        draws = [link.draw for link in links(proxy)]
        assert len(draws) == len(set(draws)) == 5 * 4
        upstream.close()


async def test_a_connection_is_not_drawn_again_by_an_update_or_a_neighbour() -> None:
    async with setting(seed=7) as here:
        await here.driver.add_toxic("p", "timeout", name="t", toxicity=0.5, attributes={"timeout": 0})
        wires = [await here.wires() for _ in range(12)]
        before = [await arrives(*pair) for pair in wires]
        assert len(set(before)) == 2
        await here.driver.update_toxic("p", "t", attributes={"timeout": 0})
        await here.driver.add_toxic("p", "noop", name="neighbour")
        await here.driver.remove_toxic("p", "neighbour")
        assert [await arrives(*pair) for pair in wires] == before
        await here.driver.update_toxic("p", "t", toxicity=0.7)
        for passed_before, pair in zip(before, wires, strict=True):
            assert passed_before or not await arrives(*pair), "a higher toxicity spared a connection"


async def arrives(client: Wire, server: Wire) -> bool:
    await server.send(b"x")
    return not await client.silent(0.01)


def links(proxy: EmbeddedProxy) -> list[Link]:
    """Return the links of all live connections."""
    return [
        link
        for each in proxy._registry.all()
        for connection in each._connections
        for pipe in (connection._up, connection._down)
        for link in pipe._links
    ]
