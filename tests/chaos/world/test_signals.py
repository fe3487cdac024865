"""Servers in processes of their own: killed, paused, stopped, and brought back at their address."""

from __future__ import annotations

import grpc
import psutil
import pytest

from rpe.chaos.world.wire import WireWorld
from rpe.chaos.world.world import Means
from rpe.clock import SYSTEM_CLOCK
from rpe.fakes.behaviour import Behaviour
from rpe.faults.actions import Signal, SignalKind
from tests.support.raw_grpc import raw


async def alive(world: WireWorld) -> bool:
    try:
        async with raw(world.endpoints["a"]) as client:
            return await client.echo("hello", timeout=0.3) == "hello"
    except grpc.aio.AioRpcError:
        return False


def children() -> int:
    return len(psutil.Process().children())


@pytest.mark.parametrize("what", ["kill", "stop", "pause"])
async def test_a_signal_takes_a_server_away_and_its_undoing_brings_it_back(what: SignalKind) -> None:
    before = children()
    async with WireWorld({"a": Behaviour()}, processes={"a": what != "pause"}) as world:
        await world.begin()
        assert await alive(world)
        address = dict(world.endpoints)
        assert await world.apply("gone.0", Signal("a", what))
        assert not await alive(world)
        began_s = SYSTEM_CLOCK.now()
        await world.undo("gone.0")
        took_s = SYSTEM_CLOCK.now() - began_s
        assert await alive(world)
        assert world.endpoints == address
        assert took_s < 2
        known = await world.evidence("gone.0")
        assert known is not None
        assert (known.means, known.count, known.details) == (Means.OBSERVED, 1, {"signal": what})
        answered = [line for line in await world.journal() if line.kind == "sent"]
        assert len(answered) >= 2, "the journal goes on over the end of the process"
    assert children() == before
