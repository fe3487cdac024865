"""limit_data: connections are cut after so many bytes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rpe.faults.actions import SetToxic
from rpe.faults.kinds.base import ConstantFault
from rpe.faults.toxics import Direction, limit_data

__all__ = ["LimitData"]


class LimitData(ConstantFault):
    """Each connection closes once `max_bytes` have passed in a direction, also in the middle of a message."""

    max_bytes: Annotated[int, Field(ge=1)]
    direction: Direction = "down"

    def applied_to(self, server: str) -> tuple[SetToxic, ...]:
        """One limit_data toxic per direction."""
        return limit_data(server, self.direction, max_bytes=self.max_bytes)
