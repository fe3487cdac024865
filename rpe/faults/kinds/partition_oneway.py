"""partition_oneway: one direction is lost, the other works."""

from __future__ import annotations

from typing import Literal

from rpe.faults.actions import SetToxic
from rpe.faults.kinds.base import ConstantFault
from rpe.faults.toxics import drop_all

__all__ = ["PartitionOneway"]


class PartitionOneway(ConstantFault):
    """Bytes in `direction` are discarded and connections stay open.

    `up`: requests are lost. `down`: the server works and its answers are lost.
    """

    direction: Literal["up", "down"]

    def applied_to(self, server: str) -> tuple[SetToxic, ...]:
        """Discard one way."""
        return drop_all(server, self.direction)
