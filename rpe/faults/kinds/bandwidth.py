"""bandwidth: a narrow link."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rpe.faults.actions import SetToxic
from rpe.faults.kinds.base import ConstantFault
from rpe.faults.toxics import Direction, bandwidth

__all__ = ["Bandwidth"]


class Bandwidth(ConstantFault):
    """At most `rate_bytes_per_s` pass, per connection and direction.

    A multiple of 1,000, because proxies count in kilobytes of 1,000 bytes a second.
    """

    rate_bytes_per_s: Annotated[int, Field(ge=1000, multiple_of=1000)]
    direction: Direction = "both"

    def applied_to(self, server: str) -> tuple[SetToxic, ...]:
        """One bandwidth toxic per direction."""
        return bandwidth(server, self.direction, rate_bytes_per_s=self.rate_bytes_per_s)
