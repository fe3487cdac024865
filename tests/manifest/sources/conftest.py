from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.manifest.sources.hostile import Servers


@pytest.fixture
async def serve() -> AsyncIterator[Servers]:
    """Starts servers of raw bytes; nothing but they may be running at the end."""
    servers = Servers()
    yield servers
    await servers.close()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
