"""signalling_down: peers live, but nobody can find a new one."""

from __future__ import annotations

from rpe.faults.actions import CutSignalling
from rpe.faults.kinds.base import ConstantFault

__all__ = ["SignallingDown"]


class SignallingDown(ConstantFault):
    """Signalling connections drop and new ones are refused; the datagrams of live peers pass as before."""

    def applied_to(self, server: str) -> tuple[CutSignalling, ...]:
        """Cut the connection beside the datagrams."""
        return (CutSignalling(server),)
