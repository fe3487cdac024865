"""The datagram relay: a UDP way between two ICE agents, on which packets are lost, late, doubled or damaged.

TCP proxies see no datagrams. So the relay stands between the two agents of a peer
connection: it rewrites the candidates in their signalling to addresses of its own, and
everything they send to each other passes through it. Or it stands before a TURN server, or
any other UDP server, at a fixed port.

Every draw comes from a seed and is written down; a run can be repeated from either.

The layers, outermost first: `embedded` and `api` (the server and its HTTP API), `relays` (by
name), `signalling`, `rewriting` and `candidates` (how agents are led here), `link`, `flow` and
`standin` (sockets), `departures` (time), `stack`, `draws` and `impairments` (decisions, no I/O).
"""

from __future__ import annotations

from rpe.faults.relay.embedded import EmbeddedRelay
from rpe.faults.relay.relays import Relay, Relays

__all__ = ["EmbeddedRelay", "Relay", "Relays"]
