from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

import pytest

from rpe.node.serving import ServedPipelines, serve_pipelines
from rpe.transport.ports import PipelineClient
from rpe.transport.registry import get_transport
from tests.support.served import WIRES, registry


class Serve(Protocol):
    async def __call__(self, transport: str = ..., **options: Any) -> ServedPipelines: ...


Connect = Callable[..., PipelineClient]


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as entered:
        yield entered


@pytest.fixture
def serve(stack: AsyncExitStack, wire: str) -> Serve:
    """Serves on the wire of the test, or on another one, until the test is over."""

    async def start(transport: str = wire, **options: Any) -> ServedPipelines:
        options.setdefault("registry", registry())
        return await stack.enter_async_context(serve_pipelines(transport, **options))

    return start


@pytest.fixture
def connect(stack: AsyncExitStack) -> Connect:
    """Makes bare transport clients, which try once."""

    def make(server: ServedPipelines, **config: Any) -> PipelineClient:
        client = get_transport(server.transport).create_client(server.endpoint, config)
        stack.push_async_callback(client.close)
        return client

    return make
