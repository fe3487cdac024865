"""blackhole: connections stay open and nothing passes."""

from __future__ import annotations

from rpe.faults.actions import SetToxic
from rpe.faults.kinds.base import ConstantFault
from rpe.faults.toxics import drop_all

__all__ = ["Blackhole"]


class Blackhole(ConstantFault):
    """Both directions are discarded. Connecting still works, and nobody is told that anything is wrong."""

    def applied_to(self, server: str) -> tuple[SetToxic, ...]:
        """Discard both ways."""
        return drop_all(server, "both")
