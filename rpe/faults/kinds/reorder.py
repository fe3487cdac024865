"""reorder: packets overtake each other."""

from __future__ import annotations

from rpe.faults import impairments
from rpe.faults.actions import SetImpairment
from rpe.faults.kinds.base import ConstantFault, Rate, WholeMilliseconds
from rpe.faults.toxics import Direction

__all__ = ["Reorder"]


class Reorder(ConstantFault):
    """With probability `rate` a datagram is held back for `by_s`, and those behind it pass meanwhile.

    It shows only where the next datagram follows sooner than that.
    """

    rate: Rate
    by_s: WholeMilliseconds
    direction: Direction = "both"

    def applied_to(self, server: str) -> tuple[SetImpairment, ...]:
        """One reorder impairment per direction."""
        return impairments.reorder(server, self.direction, rate=self.rate, by_s=self.by_s)
