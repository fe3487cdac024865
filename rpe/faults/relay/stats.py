"""Counters of what passed over a link, and of what its impairments did: the evidence that a fault fired."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from rpe.faults.actions import Stream

__all__ = ["EFFECTS", "ImpairmentStats", "StreamStats"]

EFFECTS: Final = ("dropped", "delayed", "duplicated", "corrupted")
"""What an impairment can do to a datagram."""


@dataclass(slots=True)
class ImpairmentStats:
    """What an impairment met and did; it outlives the impairment.

    `packets` and `bytes` are what it met, `acted` the datagrams that it did something to, and
    `effects` how often it did what.
    """

    kind: str
    stream: Stream
    packets: int = 0
    bytes: int = 0
    acted: int = 0
    effects: Counter[str] = field(default_factory=Counter)

    def met(self, size: int, effects: tuple[str, ...]) -> None:
        """Count a datagram of `size` bytes, and what was done to it."""
        self.packets += 1
        self.bytes += size
        if effects:
            self.acted += 1
            self.effects.update(effects)

    def as_json(self) -> dict[str, Any]:
        """Return the counters as the API shows them."""
        return {
            "type": self.kind,
            "stream": self.stream,
            "packets": self.packets,
            "bytes": self.bytes,
            "acted": self.acted,
            **{effect: self.effects[effect] for effect in EFFECTS},
        }


@dataclass(slots=True)
class StreamStats:
    """Datagrams of one direction: received from one agent, sent to the other, dropped by impairments.

    `lost` are those that could not be passed on by the relay itself: the kernel took no
    more, or they came from a stranger.
    """

    received: int = 0
    received_bytes: int = 0
    sent: int = 0
    sent_bytes: int = 0
    dropped: int = 0
    lost: int = 0

    def as_json(self) -> dict[str, int]:
        """Return the counters as the API shows them."""
        return {
            "received_packets": self.received,
            "received_bytes": self.received_bytes,
            "sent_packets": self.sent,
            "sent_bytes": self.sent_bytes,
            "dropped_packets": self.dropped,
            "lost_packets": self.lost,
        }
