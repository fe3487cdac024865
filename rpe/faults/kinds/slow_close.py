"""slow_close: the end of a connection is passed on late."""

from __future__ import annotations

from rpe.faults.actions import SetToxic
from rpe.faults.kinds.base import ConstantFault, WholeMilliseconds
from rpe.faults.toxics import Direction, slow_close

__all__ = ["SlowClose"]


class SlowClose(ConstantFault):
    """When one side closes, the other learns of it `delay_s` later."""

    delay_s: WholeMilliseconds
    direction: Direction = "both"

    def applied_to(self, server: str) -> tuple[SetToxic, ...]:
        """One slow_close toxic per direction."""
        return slow_close(server, self.direction, delay_s=self.delay_s)
