"""One fake and one client of each wire: what follows must be the same on all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from rpe.fakes import FakeServer
from rpe.fakes.nodes import BUILT_IN
from rpe.transport.registry import get_transport
from tests.support.wire_pairs import Pair, Pairs

WIRES = ("grpc", "http", "webrtc")


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def pairs(wire: str) -> AsyncIterator[Pairs]:
    """A factory of pairs on one wire; everything is closed in the end."""
    async with AsyncExitStack() as stack:

        async def make(
            behaviour: Any = None, *, settings: Any = None, nodes: Any = None, **config: Any
        ) -> Pair:
            known = {**BUILT_IN, **(nodes or {})}
            fake = await stack.enter_async_context(
                FakeServer("a", wire, behaviour, nodes=known, settings=settings)
            )
            client = get_transport(wire).create_client(fake.endpoint, config)
            stack.push_async_callback(client.close)
            return Pair(fake, client, wire)

        yield make
