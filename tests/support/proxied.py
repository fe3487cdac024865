"""An embedded proxy with one proxy "p" in it, between a client and a server in a test's hands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rpe.faults.driver import ProxyState, ProxyStats, ToxiproxyDriver
from rpe.faults.proxy import EmbeddedProxy
from tests.support.wires import Upstream, Wire, connect

__all__ = ["Setting", "setting"]


class Setting:
    """An embedded proxy with one proxy in it, before a server in the test's hands."""

    def __init__(self, driver: ToxiproxyDriver, upstream: Upstream, proxy: ProxyState) -> None:
        self.driver = driver
        self.upstream = upstream
        self.proxy = proxy

    async def client(self) -> Wire:
        return self.upstream.keep(await connect(self.proxy.host, self.proxy.port))

    async def wires(self) -> tuple[Wire, Wire]:
        client = await self.client()
        return client, await self.upstream.accept()

    async def stats(self) -> ProxyStats:
        stats = await self.driver.stats()
        assert stats is not None
        return stats["p"]

    async def all_closed(self) -> ProxyStats:
        """Wait until the proxy has no open connection."""
        for _ in range(1000):
            stats = await self.stats()
            if not stats.open:
                return stats
            await asyncio.sleep(0.005)
        raise AssertionError(f"{stats.open} connections stay open")

    async def upstream_received(self) -> int:
        return (await self.stats()).upstream.received


@asynccontextmanager
async def setting(upstream_address: str | None = None, *, seed: int = 0) -> AsyncIterator[Setting]:
    upstream = Upstream()
    async with EmbeddedProxy(seed=seed) as proxy, ToxiproxyDriver(proxy.url) as driver:
        state = await driver.create_proxy("p", upstream=upstream_address or upstream.address)
        try:
            yield Setting(driver, upstream, state)
        finally:
            upstream.close()
