"""What is decided about one datagram: when copies of it leave, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Decision", "Delivery", "Flip"]


class Flip(NamedTuple):
    """One corrupted byte: its position in the datagram, and the bits of it that are turned over."""

    position: int
    mask: int


class Delivery(NamedTuple):
    """One copy of a datagram: when it leaves, in seconds on the relay's clock, and how it is damaged."""

    at_s: float
    flips: tuple[Flip, ...] = ()

    @property
    def corrupted(self) -> bool:
        """Whether the copy differs from what was sent."""
        return bool(self.flips)

    def applied_to(self, data: bytes) -> bytes:
        """Return the datagram as this copy has it. A flip beyond its end, as in a replay, has no effect."""
        if not self.flips:
            return data
        damaged = bytearray(data)
        for position, mask in self.flips:
            if position < len(damaged):
                damaged[position] ^= mask
        return bytes(damaged)


@dataclass(frozen=True, slots=True)
class Decision:
    """All copies that leave, in the order they were decided; none where the datagram is dropped.

    `dropped_by` is the name of the impairment that took the last copy.
    """

    deliveries: tuple[Delivery, ...]
    dropped_by: str | None = None
