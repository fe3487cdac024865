"""Counters of what passed through a proxy, and of what its toxics did: the evidence that a fault fired."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rpe.faults.actions import Stream

__all__ = ["ProxyStats", "StreamStats", "ToxicStats"]


@dataclass(slots=True)
class ToxicStats:
    """What a toxic did, over all connections of its proxy; it outlives the toxic."""

    kind: str
    stream: Stream
    connections: int = 0
    chunks: int = 0
    bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the counters as the API shows them."""
        return {
            "type": self.kind,
            "stream": self.stream,
            "connections": self.connections,
            "chunks": self.chunks,
            "bytes": self.bytes,
        }


@dataclass(slots=True)
class StreamStats:
    """Bytes of one direction: read from its source, and handed to its destination."""

    received_bytes: int = 0
    sent_bytes: int = 0

    def as_json(self) -> dict[str, int]:
        """Return the counters as the API shows them."""
        return {"received_bytes": self.received_bytes, "sent_bytes": self.sent_bytes}


def _no_bytes() -> dict[Stream, StreamStats]:
    return {"upstream": StreamStats(), "downstream": StreamStats()}


@dataclass(slots=True)
class ProxyStats:
    """What went on at one proxy since it was made. `bytes` are those of connections that have ended."""

    accepted: int = 0
    open: int = 0
    refused_upstream: int = 0
    bytes: dict[Stream, StreamStats] = field(default_factory=_no_bytes)
    toxics: dict[str, ToxicStats] = field(default_factory=dict)

    def toxic(self, name: str, kind: str, stream: Stream) -> ToxicStats:
        """Return the counters of a toxic; they go on if one of that name, kind and stream comes back."""
        known = self.toxics.get(name)
        if known is None or (known.kind, known.stream) != (kind, stream):
            known = self.toxics[name] = ToxicStats(kind, stream)
        return known
