"""The proxy servers that a world is tried with: the embedded one, and a real Toxiproxy where there is one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from rpe.faults.proxy import EmbeddedProxy
from tests.support.real_toxiproxy import real_toxiproxy


@pytest.fixture(scope="session")
def toxiproxy() -> Iterator[str]:
    """A real Toxiproxy, the same for the whole run."""
    with real_toxiproxy() as url:
        yield url


@pytest.fixture(params=["embedded", pytest.param("toxiproxy", marks=pytest.mark.toxiproxy)])
async def proxy(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A proxy server that outlives the world, so that what the world leaves behind is seen."""
    if request.param == "toxiproxy":
        yield request.getfixturevalue("toxiproxy")
        return
    async with EmbeddedProxy() as embedded:
        yield embedded.url
