"""packet_corruption: packets arrive damaged."""

from __future__ import annotations

from rpe.faults import impairments
from rpe.faults.actions import SetImpairment
from rpe.faults.kinds.base import ConstantFault, Rate
from rpe.faults.toxics import Direction

__all__ = ["PacketCorruption"]


class PacketCorruption(ConstantFault):
    """With probability `rate`, bits of one byte of a datagram are turned over, at a place that is drawn.

    The datagram is delivered with a right UDP checksum: to find the damage is up to the
    receiver. DTLS and SRTP find it and discard the packet, so that it amounts to a loss.
    """

    rate: Rate
    direction: Direction = "both"

    def applied_to(self, server: str) -> tuple[SetImpairment, ...]:
        """One corruption impairment per direction."""
        return impairments.corruption(server, self.direction, rate=self.rate)
