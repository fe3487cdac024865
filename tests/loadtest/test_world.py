from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rpe.clock import SYSTEM_CLOCK
from rpe.faults.actions import CutLink
from rpe.loadtest.drawing import draw, scripted_faults
from rpe.loadtest.reading import parse_plan
from rpe.loadtest.world import Pool, open_pool

PLAN = """
name: endpoints
proves: Servers that run already are called directly, unless there are faults for them.
endpoints: {a: 'ADDRESS'}
load: [{kind: unary, rate_per_s: 1}]
duration_s: 5
"""
FAULT = "faults: [{name: cut, at_s: 1, for_s: 2, down: {on: [a]}}]\n"


async def greeted(address: str) -> str:
    """Return what a server says at once."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        return (await reader.read(100)).decode()
    finally:
        writer.close()


async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    writer.close()


@pytest.mark.parametrize("faults", ["", FAULT])
async def test_a_proxy_is_put_before_endpoints_where_there_are_faults(faults: str, tmp_path: Path) -> None:
    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    plan = parse_plan(PLAN.replace("ADDRESS", address) + faults)
    steps = scripted_faults(plan, draw(plan, 1))
    told: Pool
    async with (
        server,
        open_pool(plan, steps, seed=1, proxy_url=None, draws=tmp_path / "d", clock=SYSTEM_CLOCK) as told,
    ):
        assert await greeted(told.addresses["a"]) == "hello"
        assert (told.addresses["a"] == address) == (not faults)
        if faults:
            assert await told.world.apply("cut.0", CutLink("a"))
            with pytest.raises(ConnectionRefusedError):
                await greeted(told.addresses["a"])
            await told.world.undo("cut.0")
            assert await greeted(told.addresses["a"]) == "hello"
    assert not (tmp_path / "d").exists()
