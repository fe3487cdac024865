"""A link: all datagrams between the clients and one server, over many flows, and what is done to them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from rpe.errors import ConfigurationError
from rpe.faults.actions import Stream
from rpe.faults.relay.departures import Departures
from rpe.faults.relay.draws import DrawLog, Replay
from rpe.faults.relay.flow import IDLE_S, Flow
from rpe.faults.relay.impairments import Settings
from rpe.faults.relay.stack import Impairments
from rpe.faults.relay.standin import Address, Side, StandIn
from rpe.faults.relay.stats import ImpairmentStats, StreamStats

__all__ = ["InForce", "RelayLink"]

LOOPBACK = "127.0.0.1"


class InForce(NamedTuple):
    """An impairment in force: its name, the direction it acts on, and its settings."""

    name: str
    stream: Stream
    settings: Settings

    def as_json(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "name": self.name,
            "type": self.settings.kind,
            "stream": self.stream,
            "attributes": self.settings.as_attributes(),
        }


@dataclass(slots=True)
class _Way:
    """One direction of a link."""

    impairments: Impairments
    departures: Departures
    stats: StreamStats = field(default_factory=StreamStats)


class RelayLink:
    """The datagrams of one server. All flows share the link, its impairments, its queue and its draws.

    Make it inside a running event loop; `close` ends every flow, and what waits is lost.
    Where impairments are taken away and none is left in that direction, all that they held
    back leaves at once, in order.

    Arguments:
        name: names the draws too (see `Impairments`).
        seed: the root of all draws.
        log: where draws are written down.
        replay: decisions to take instead of draws.
        host: the address that its sockets are bound to.
    """

    def __init__(
        self,
        name: str,
        *,
        seed: int = 0,
        log: DrawLog | None = None,
        replay: Replay | None = None,
        host: str = LOOPBACK,
    ) -> None:
        self.name = name
        self.host = host
        self.log = log if log is not None else DrawLog()
        self._loop = asyncio.get_running_loop()
        self._flows: list[Flow] = []
        self._ways: dict[Stream, _Way] = {
            stream: _Way(Impairments(name, stream, seed, log=self.log, replay=replay), Departures(self._loop))
            for stream in STREAMS
        }
        self._closed = False

    def __repr__(self) -> str:
        return f"RelayLink({self.name!r}, flows={len(self._flows)}, in_force={len(self.in_force())})"

    # --- flows ----------------------------------------------------------------------------------------------

    def open_flow(self) -> Flow:
        """Open the way between two agents; flows that were released and have fallen silent end now.

        Raises ConfigurationError where the link is closed.
        """
        if self._closed:
            raise ConfigurationError(f"the link {self.name!r} is closed")
        self.end_released(idle_s=IDLE_S)
        flow = Flow(self._loop, self.host, self._pass_on, self._stranger)
        self._flows.append(flow)
        return flow

    def end_released(self, *, idle_s: float = 0.0) -> None:
        """End the flows whose signalling has ended, and which have been silent for `idle_s` seconds."""
        latest_s = self._loop.time() - idle_s
        for flow in [flow for flow in self._flows if flow.released and flow.used_s <= latest_s]:
            self._flows.remove(flow)
            flow.close()

    def forward(self, upstream: Address) -> Address:
        """Return where datagrams for `upstream` can be sent; each source is told apart, as by a NAT.

        This is the relay in front of a TURN server, or of any server with a fixed address.
        Raises ConfigurationError where the link is closed, or no port is free.
        """
        stand_in = self.open_flow().stand_in(upstream, facing="client")
        if stand_in is None:
            raise ConfigurationError(f"the link {self.name!r} found no free port on {self.host}")
        return stand_in.address

    def addresses(self, facing: Side) -> frozenset[Address]:
        """Return the addresses of all sockets that face an agent: all that it can know of the other."""
        return frozenset(
            stand_in.address for flow in self._flows for stand_in in flow if stand_in.facing == facing
        )

    def rebind(self, facing: Side = "server") -> int:
        """Move the sockets that face an agent to new ports, and close the old ones; return how many moved.

        So the server sees its clients at other addresses all of a sudden, as when a NAT on
        the way forgets (RFC 8445 knows the new address as peer-reflexive). With "client", the
        clients see the server move.
        """
        return sum(flow.rebind(facing) for flow in self._flows)

    def close(self) -> None:
        """Close every socket, and forget what waits; harmless twice."""
        self._closed = True
        for way in self._ways.values():
            way.departures.close()
        for flow in self._flows:
            flow.close()
        self._flows.clear()

    # --- impairments ----------------------------------------------------------------------------------------

    def impair(self, name: str, stream: Stream, settings: Settings) -> None:
        """Put an impairment in force. Raises ConfigurationError where the name is taken, in any direction."""
        if self.impairment(name) is not None:
            raise ConfigurationError(f"the link {self.name!r} has an impairment {name!r} already")
        self._ways[stream].impairments.add(name, settings)

    def impairment(self, name: str) -> InForce | None:
        """Return what is in force under a name."""
        return next((found for found in self.in_force() if found.name == name), None)

    def in_force(self) -> tuple[InForce, ...]:
        """Return all that is in force, upstream first, in the order that datagrams meet it."""
        return tuple(
            InForce(name, stream, settings)
            for stream, way in self._ways.items()
            for name, settings in way.impairments
        )

    def change(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Change some settings. Raises KeyError for an unknown name, ConfigurationError for a wrong one."""
        self._way_of(name).impairments.update(name, attributes)

    def relieve(self, name: str) -> None:
        """Take an impairment away. Raises KeyError for an unknown name."""
        way = self._way_of(name)
        way.impairments.remove(name)
        if not way.impairments:
            way.departures.flush()

    def _way_of(self, name: str) -> _Way:
        return next((way for way in self._ways.values() if name in way.impairments), None) or _unknown(name)

    # --- what was seen --------------------------------------------------------------------------------------

    def stats(self, stream: Stream) -> StreamStats:
        """Return the counters of a direction."""
        return self._ways[stream].stats

    def impairment_stats(self, name: str) -> ImpairmentStats | None:
        """Return what an impairment did, also after it was taken away; None for a name never used."""
        found = (way.impairments.stats.get(name) for way in self._ways.values())
        return next((stats for stats in found if stats is not None), None)

    def stats_as_json(self) -> dict[str, Any]:
        """Return the counters of the link and of every impairment that it ever had."""
        return {
            "flows": len(self._flows),
            "sockets": sum(1 for flow in self._flows for _ in flow),
            "packets": {stream: way.stats.as_json() for stream, way in self._ways.items()},
            "waiting": {stream: len(way.departures) for stream, way in self._ways.items()},
            "impairments": {
                name: stats.as_json()
                for way in self._ways.values()
                for name, stats in way.impairments.stats.items()
            },
        }

    # --- the way of a datagram ------------------------------------------------------------------------------

    def _pass_on(self, stream: Stream, data: bytes, speaker: StandIn, to: Address) -> None:
        way = self._ways[stream]
        way.stats.received += 1
        way.stats.received_bytes += len(data)
        decision = way.impairments.decide(len(data), self._loop.time())
        if not decision.deliveries:
            way.stats.dropped += 1
        for copy in decision.deliveries:
            way.departures.put(copy.at_s, partial(_send, way.stats, speaker, copy.applied_to(data), to))

    def _stranger(self, stream: Stream) -> None:
        self._ways[stream].stats.received += 1
        self._ways[stream].stats.lost += 1


STREAMS: tuple[Stream, ...] = ("upstream", "downstream")


def _send(stats: StreamStats, speaker: StandIn, data: bytes, to: Address) -> None:
    if speaker.send(data, to):
        stats.sent += 1
        stats.sent_bytes += len(data)
    else:
        stats.lost += 1


def _unknown(name: str) -> _Way:
    raise KeyError(name)
