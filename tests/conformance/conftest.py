"""The two servers that the same tests are run against: the embedded proxy and a real Toxiproxy."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from rpe.faults.driver import ProxyState, ToxiproxyDriver
from rpe.faults.proxy import EmbeddedProxy
from tests.support.real_toxiproxy import real_toxiproxy
from tests.support.wires import Upstream, Wire, connect


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Subject:
    """A server under test: its URL, our driver on it, raw HTTP, and whether it is the embedded one."""

    url: str
    embedded: bool
    driver: ToxiproxyDriver
    upstream: Upstream
    session: aiohttp.ClientSession

    async def http(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send `body` as it is if it is bytes, as JSON otherwise."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, self.url + path, data=data, headers=names) as response:
            lower = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, lower, await response.text())

    async def proxy(self, name: str = "p") -> ProxyState:
        return await self.driver.create_proxy(name, upstream=self.upstream.address)

    async def wires(self, proxy: ProxyState) -> tuple[Wire, Wire]:
        """Connect through a proxy; return the client's end and the server's end."""
        client = await self.connect(proxy)
        return client, await self.upstream.accept()

    async def connect(self, proxy: ProxyState) -> Wire:
        return self.upstream.keep(await connect(proxy.host, proxy.port))


@pytest.fixture(scope="session")
def toxiproxy_url() -> Iterator[str]:
    """A real Toxiproxy, the same for the whole session."""
    with real_toxiproxy() as url:
        yield url


@pytest.fixture(params=["embedded", pytest.param("toxiproxy", marks=pytest.mark.toxiproxy)])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    """Each server in turn."""
    if request.param == "toxiproxy":
        async with _subject(request.getfixturevalue("toxiproxy_url"), embedded=False) as subject:
            yield subject
    else:
        async with EmbeddedProxy() as proxy, _subject(proxy.url, embedded=True) as subject:
            yield subject


@pytest.fixture
async def ours() -> AsyncIterator[Subject]:
    """The embedded server alone, for what Toxiproxy cannot do at all."""
    async with EmbeddedProxy() as proxy, _subject(proxy.url, embedded=True) as subject:
        yield subject


@asynccontextmanager
async def _subject(url: str, *, embedded: bool) -> AsyncIterator[Subject]:
    """Give a server without proxies to a test, and leave none behind."""
    upstream = Upstream()
    async with ToxiproxyDriver(url) as driver, aiohttp.ClientSession() as session:
        try:
            yield Subject(url, embedded, driver, upstream, session)
        finally:
            upstream.close()
            for name in await driver.proxies():
                await driver.delete_proxy(name)
