"""kill: a server dies."""

from __future__ import annotations

from rpe.faults.actions import Signal
from rpe.faults.kinds.base import ConstantFault

__all__ = ["Kill"]


class Kill(ConstantFault):
    """SIGKILL: the process is gone at once, with all it knew. Healing starts it again on its port."""

    def applied_to(self, server: str) -> tuple[Signal, ...]:
        """Send SIGKILL."""
        return (Signal(server, "kill"),)
