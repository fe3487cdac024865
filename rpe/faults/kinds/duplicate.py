"""duplicate: packets arrive twice."""

from __future__ import annotations

from rpe.faults import impairments
from rpe.faults.actions import SetImpairment
from rpe.faults.kinds.base import ConstantFault, Rate
from rpe.faults.toxics import Direction

__all__ = ["Duplicate"]


class Duplicate(ConstantFault):
    """Each datagram is sent twice with probability `rate`, the copy right behind the first."""

    rate: Rate
    direction: Direction = "both"

    def applied_to(self, server: str) -> tuple[SetImpairment, ...]:
        """One duplicate impairment per direction."""
        return impairments.duplicate(server, self.direction, rate=self.rate)
