"""What a load run loads: fakes behind proxies, or servers that run already, behind proxies if faults ask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rpe.chaos.guards import ScriptedFault
from rpe.chaos.world.wire import WireWorld
from rpe.clock import Clock
from rpe.faults.actions import Signal
from rpe.faults.seeds import derive_seed
from rpe.loadtest.model import LoadPlan

__all__ = ["Pool", "open_pool"]


@dataclass(frozen=True, slots=True)
class Pool:
    """The servers of a run as clients see them, by name, and the world in which faults are done to them."""

    addresses: Mapping[str, str]
    world: WireWorld


@asynccontextmanager
async def open_pool(
    plan: LoadPlan,
    faults: list[ScriptedFault],
    *,
    seed: int,
    proxy_url: str | None,
    draws: Path,
    clock: Clock,
) -> AsyncIterator[Pool]:
    """Start what a plan asks for; leaving takes everything back.

    Each fake has a process of its own, so that the load it bears is no burden for the others.
    Raises ConfigurationError, or an RpeError of the proxy, where something does not come up.
    """
    world = WireWorld(
        plan.servers,
        transport=plan.transport,
        processes={name: name in _coming_back(faults) for name in plan.servers},
        proxy_url=proxy_url,
        draws=draws if plan.servers else None,
        seed=derive_seed(seed, "world"),
        clock=clock,
    )
    async with world:
        addresses = dict(world.endpoints)
        for name, address in plan.endpoints.items():
            # A proxy costs something, and who loads servers of their own wants their figures.
            addresses[name] = await world.links.open(name, address) if plan.faults else address
        await world.begin()
        yield Pool(addresses, world)


def _coming_back(faults: list[ScriptedFault]) -> set[str]:
    """The servers whose process is ended by a fault, and has to be there again when that is healed."""
    return {
        step.action.server
        for fault in faults
        for step in fault.steps
        if isinstance(step.action, Signal) and step.action.what != "pause"
    }
