"""down: nothing listens any more."""

from __future__ import annotations

from rpe.faults.actions import CutLink
from rpe.faults.kinds.base import ConstantFault

__all__ = ["Down"]


class Down(ConstantFault):
    """Open connections drop and new ones are refused, as if the server's host had lost its port."""

    def applied_to(self, server: str) -> tuple[CutLink, ...]:
        """Cut the link."""
        return (CutLink(server),)
