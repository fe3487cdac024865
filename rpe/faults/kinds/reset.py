"""reset: connections end in a TCP reset."""

from __future__ import annotations

from typing import Literal

from rpe.faults.actions import SetToxic
from rpe.faults.kinds.base import ConstantFault, Seconds
from rpe.faults.toxics import reset_peer

__all__ = ["Reset"]


class Reset(ConstantFault):
    """Each connection is reset `after_s` after the next bytes in `direction`, which are lost.

    With `down` (the default) the server has done its work when the answer is lost; with
    `up` the request never arrives. A stock Toxiproxy resets only connections that were
    opened during the fault, and merely closes those that were open before.
    """

    after_s: Seconds = 0.0
    direction: Literal["up", "down"] = "down"

    def applied_to(self, server: str) -> tuple[SetToxic, ...]:
        """One reset toxic."""
        return reset_peer(server, self.direction, after_s=self.after_s)
