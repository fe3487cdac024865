"""slicer: bytes arrive in small pieces."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from rpe.faults.actions import SetToxic
from rpe.faults.kinds.base import ConstantFault, Seconds
from rpe.faults.toxics import Direction, slicer

__all__ = ["Slicer"]


class Slicer(ConstantFault):
    """What passes is cut into pieces of about `average_bytes`, `delay_s` apart.

    The variation must stay below the average: Toxiproxy cuts for ever otherwise.
    """

    average_bytes: Annotated[int, Field(ge=1)]
    variation_bytes: Annotated[int, Field(ge=0)] = 0
    delay_s: Seconds = 0.0
    direction: Direction = "both"

    @model_validator(mode="after")
    def _variation_below_average(self) -> Self:
        if self.variation_bytes >= self.average_bytes:
            raise ValueError("variation_bytes must be smaller than average_bytes")
        return self

    def applied_to(self, server: str) -> tuple[SetToxic, ...]:
        """One slicer toxic per direction."""
        return slicer(
            server,
            self.direction,
            average_bytes=self.average_bytes,
            variation_bytes=self.variation_bytes,
            delay_s=self.delay_s,
        )
