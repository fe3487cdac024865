"""The datagrams to the servers: one relay each, beside the proxy of the connection that leads to it.

Clients signal through the proxy and then through the relay, which makes itself the way of
all datagrams; so a fault acts on both. Everything here is in this process and can be read
back at once.
"""

from __future__ import annotations

from typing import Any, TextIO

from rpe.chaos.world.links import LinkFault
from rpe.faults.actions import SetImpairment, SetToxic, Stream
from rpe.faults.impairments import as_impairment
from rpe.faults.relay import Relay, Relays
from rpe.faults.relay.impairments import IMPAIRMENTS, Partition, Settings
from rpe.faults.relay.link import InForce

__all__ = ["DatagramLinks"]

STREAMS: tuple[Stream, ...] = ("upstream", "downstream")


class DatagramLinks:
    """The relays of one run, by server.

    `seed` is the root of all that they draw; `log` takes each draw, and closing it is the caller's.
    """

    def __init__(self, seed: int, log: TextIO | None = None) -> None:
        self._relays = Relays(seed=seed, log=log)

    def __getitem__(self, server: str) -> Relay:
        return self._relays[server]

    async def open(self, server: str, upstream: str) -> str:
        """Put a relay before a server; return the address that signalling has to go through."""
        return (await self._relays.open(server, upstream)).listen

    def forget_clients(self) -> None:
        """End the flows of peers that have said goodbye; those of a peer that was left open stay."""
        for relay in self._relays.all():
            relay.link.end_released()

    async def close(self) -> None:
        """Close every relay, with its connections and flows."""
        await self._relays.close()

    def impair(self, key: str, action: SetImpairment) -> None:
        """Put an impairment in force and read it back. Raises LinkFault where it is not there as asked."""
        self._put(key, action.server, action.stream, IMPAIRMENTS[action.kind].of(action.attributes))

    def add_toxic(self, key: str, action: SetToxic) -> None:
        """Do to the datagrams what a toxic does to bytes; nothing where it has no meaning for them."""
        impairment = as_impairment(action)
        if impairment is not None and action.toxicity > 0:
            self.impair(key, impairment)

    def relieve(self, key: str, server: str) -> None:
        """Take away what was put in force under a name, and read back that it is gone; harmless twice."""
        link = self._relays[server].link
        for name in _names(key):
            if link.impairment(name) is not None:
                link.relieve(name)
            if link.impairment(name) is not None:
                raise LinkFault(f"the impairment {name} is still in force", endpoint=server)

    def cut(self, key: str, server: str) -> None:
        """Drop everything both ways: sockets stay open, and nobody is told."""
        for stream in STREAMS:
            self._put(f"{key}.{stream}", server, stream, Partition())

    def rebind(self, server: str) -> int:
        """Let a server see its clients at new addresses; return how many changed.

        Raises LinkFault where an old one is still in use.
        """
        link = self._relays[server].link
        before = link.addresses("server")
        moved = link.rebind()
        if before & link.addresses("server"):
            raise LinkFault("an address did not change", endpoint=server)
        return moved

    def seen(self, key: str, server: str) -> tuple[int, dict[str, Any]]:
        """Return how many datagrams a name's impairments acted on, and what they did, in few words."""
        link = self._relays[server].link
        known = [stats for name in _names(key) if (stats := link.impairment_stats(name)) is not None]
        details: dict[str, Any] = {}
        if known:
            details["packets"] = sum(stats.packets for stats in known)
        for stats in known:
            for effect, times in stats.effects.items():
                details[effect] = details.get(effect, 0) + times
        return sum(stats.acted for stats in known), details

    def signalling_connections(self, server: str) -> int:
        """Return how many signalling connections pass through a relay now."""
        signalling = self._relays[server].signalling
        return 0 if signalling is None else signalling.open

    def _put(self, name: str, server: str, stream: Stream, settings: Settings) -> None:
        link = self._relays[server].link
        link.impair(name, stream, settings)
        found = link.impairment(name)
        if found != InForce(name, stream, settings):
            raise LinkFault(f"the impairment {name} is not in force as asked: {found}", endpoint=server)


def _names(key: str) -> tuple[str, ...]:
    """The names that an action can have on a link: its own, or one per direction."""
    return (key, *(f"{key}.{stream}" for stream in STREAMS))
