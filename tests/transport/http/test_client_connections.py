"""The connections of the HTTP client: how many, for how long, and what is left of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest

from rpe.data import RuntimeData, Text
from rpe.errors import (
    ConnectionLost,
    RemoteTimeout,
)
from rpe.fakes.server import FakeServer
from rpe.manifest.model import Manifest
from rpe.transport.http.client import HttpPipelineClient
from rpe.transport.http.settings import HttpSettings
from rpe.transport.ports import ExecutionResult

ECHO = Manifest.single("echo", node_type="Echo")
TEXT = Text("a sentence, and not a short one")


@asynccontextmanager
async def connected(
    behaviour: dict[str, Any] | None = None, settings: dict[str, Any] | None = None, **config: Any
) -> AsyncIterator[tuple[FakeServer, HttpPipelineClient]]:
    async with FakeServer(transport="http", behaviour=behaviour, settings=settings) as fake:
        client = HttpPipelineClient(fake.endpoint, HttpSettings(**config))
        try:
            yield fake, client
        finally:
            await client.close()


async def execute(
    client: HttpPipelineClient, data: RuntimeData = TEXT, manifest: Manifest = ECHO, timeout_s: float = 5.0
) -> ExecutionResult:
    return await client.execute(manifest, {"echo": data}, timeout_s=timeout_s)


async def test_closing_the_client_under_a_call_ends_it_with_an_error_not_a_cancel() -> None:
    async with connected({"hang": {}}) as (fake, client):
        task = asyncio.create_task(execute(client))
        await fake.journal.wait_for(lambda entry: entry.kind == "received")
        await client.close()
        with pytest.raises(ConnectionLost) as caught:
            await task
        assert caught.value.maybe_executed
        assert not task.cancelling()
        await fake.journal.wait_for(lambda entry: entry.kind == "cancelled")


async def test_a_closed_client_says_so() -> None:
    async with connected() as (fake, client):
        await client.close()
        await client.close()
        for call in (
            execute(client),
            client.open_stream(ECHO, timeout_s=1.0, open_timeout_s=1.0),
            client.check_health(timeout_s=1.0),
        ):
            with pytest.raises(ConnectionLost, match="closed") as caught:
                await call
            assert not caught.value.maybe_executed
            assert not caught.value.retryable
        assert fake.journal.entries() == []


async def test_calls_wait_for_a_free_connection_and_their_deadline_counts_on() -> None:
    async with connected({"latency": {"fixed_s": 0.1}}, max_connections=1) as (_, client):
        first = asyncio.create_task(execute(client))
        await asyncio.sleep(0.02)
        with pytest.raises(RemoteTimeout):
            await execute(client, timeout_s=0.03)
        assert (await execute(client)).output == TEXT
        assert (await first).output == TEXT


async def test_connections_are_used_again_and_none_is_left_after_close() -> None:
    def connections(port: int) -> int:
        open_ones = [each for each in psutil.Process().net_connections("tcp") if each.status == "ESTABLISHED"]
        return len([each for each in open_ones if each.raddr[1] == port])

    async with connected() as (fake, client):
        port = int(fake.endpoint.rpartition(":")[2])
        before = len(asyncio.all_tasks())
        for _ in range(10):
            await execute(client)
        assert connections(port) == 1
        await asyncio.gather(*(execute(client) for _ in range(5)))
        assert connections(port) <= 5
        await client.close()
        await asyncio.sleep(0.05)
        assert connections(port) == 0
        assert len(asyncio.all_tasks()) <= before


async def test_cancelled_calls_give_their_connections_back() -> None:
    chance = random.Random(7)
    async with connected({"latency": {"fixed_s": 0.005}}, max_connections=3) as (fake, client):
        for _ in range(20):
            tasks = [asyncio.create_task(execute(client)) for _ in range(8)]
            await asyncio.sleep(chance.random() * 0.012)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(5):
            await asyncio.gather(*(execute(client) for _ in range(10)))
        assert fake.journal.in_flight == 0


async def test_open_sessions_do_not_take_the_connections_that_they_send_by() -> None:
    async with connected(max_connections=1) as (_, client):
        sessions = [await client.open_stream(ECHO, timeout_s=5.0, open_timeout_s=5.0) for _ in range(4)]
        for session in sessions:
            await session.send(TEXT, node_id="echo", sequence=0)
        for session in sessions:
            assert (await session.receive()) is not None
            session.cancel()
        assert (await execute(client)).output == TEXT
