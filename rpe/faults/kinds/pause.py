"""pause: a server stands still."""

from __future__ import annotations

from rpe.faults.actions import Signal
from rpe.faults.kinds.base import ConstantFault

__all__ = ["Pause"]


class Pause(ConstantFault):
    """SIGSTOP: connections stay open, the kernel still accepts bytes, and nobody answers. SIGCONT heals."""

    def applied_to(self, server: str) -> tuple[Signal, ...]:
        """Send SIGSTOP."""
        return (Signal(server, "pause"),)
