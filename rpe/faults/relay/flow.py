"""The way between two agents: for each address of either, a socket that stands for it towards the other.

A datagram that the client sends from X to the socket that stands for the server's Y leaves,
for Y, from the socket that stands for X. So each agent sees one address of the relay for
each address of the other, as through a NAT on both sides, and neither learns a true one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from rpe.faults.actions import Stream
from rpe.faults.relay.standin import Address, Side, StandIn

__all__ = ["FLOW_LIMIT", "Flow", "PassOn"]

FLOW_LIMIT = 64
"""How many sockets of one flow may face one agent: an agent with more addresses is not one of ours."""

IDLE_S = 30.0
"""How long an address that nobody announced must be silent before another may take its place."""

OTHER: dict[Side, Side] = {"client": "server", "server": "client"}
FROM: dict[Side, Stream] = {"client": "upstream", "server": "downstream"}

PassOn = Callable[[Stream, bytes, StandIn, Address], None]
"""Takes a datagram, and by which stand-in it is to leave for which address."""


class Flow:
    """The stand-ins of one pair of agents.

    Arguments:
        loop, host: what stand-ins are made with.
        pass_on: decides what becomes of a datagram, and sends it.
        stranger: is told of a datagram from a source that there was no room for.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        host: str,
        pass_on: PassOn,
        stranger: Callable[[Stream], None],
    ) -> None:
        self._loop = loop
        self._host = host
        self._pass_on = pass_on
        self._stranger = stranger
        self._facing: dict[Side, dict[Address, StandIn]] = {"client": {}, "server": {}}
        self._began_s = loop.time()
        self.released = False

    def __iter__(self) -> Iterator[StandIn]:
        return (stand_in for facing in self._facing.values() for stand_in in facing.values())

    @property
    def used_s(self) -> float:
        """When an agent was last heard of, on the loop's clock."""
        return max((stand_in.used_s for stand_in in self), default=self._began_s)

    def stand_in(self, stands_for: Address, *, facing: Side) -> StandIn | None:
        """Return the socket that stands for an address; it is made at first need. None beyond the limit."""
        return self._facing[facing].get(stands_for) or self._open(stands_for, facing, learned=False)

    def rebind(self, facing: Side) -> int:
        """Move every socket that faces an agent to a new port; return how many there are."""
        stand_ins = tuple(self._facing[facing].values())
        for stand_in in stand_ins:
            stand_in.rebind()
        return len(stand_ins)

    def close(self) -> None:
        """Close every socket; harmless twice."""
        for stand_in in self:
            stand_in.close()

    def _receive(self, at: StandIn, data: bytes, source: Address) -> None:
        stream = FROM[at.facing]
        speaker = self._facing[OTHER[at.facing]].get(source) or self._acquaint(source, OTHER[at.facing])
        if speaker is None:
            self._stranger(stream)
        else:
            speaker.used_s = at.used_s
            self._pass_on(stream, data, speaker, at.stands_for)

    def _acquaint(self, source: Address, facing: Side) -> StandIn | None:
        """Find a socket to stand for a source that was not announced, or not by this address.

        An agent that listens on all interfaces sends from another address than it announced, but
        from the same port: its candidate becomes what was seen. Any other source is a new
        address, as a peer-reflexive candidate is (RFC 8445, section 7.3.1.3).
        """
        known = self._facing[facing]
        for stand_in in known.values():
            if stand_in.stands_for[1] == source[1] and not stand_in.learned:
                del known[stand_in.stands_for]
                stand_in.stands_for = source
                known[source] = stand_in
                return stand_in
        return self._open(source, facing, learned=True)

    def _open(self, stands_for: Address, facing: Side, *, learned: bool) -> StandIn | None:
        known = self._facing[facing]
        if len(known) >= FLOW_LIMIT and not self._make_room(known):
            return None
        try:
            made = StandIn(self._loop, self._host, facing, stands_for, self._receive, learned=learned)
        except OSError:
            return None
        known[stands_for] = made
        return made

    def _make_room(self, known: dict[Address, StandIn]) -> bool:
        """Close the learned stand-in that has been silent the longest, if for long enough."""
        silent_since_s = self._loop.time() - IDLE_S
        learned = [stand_in for stand_in in known.values() if stand_in.learned]
        oldest = min(learned, key=lambda stand_in: stand_in.used_s, default=None)
        if oldest is None or oldest.used_s > silent_since_s:
            return False
        oldest.close()
        del known[oldest.stands_for]
        return True
