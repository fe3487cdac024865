"""nothing: the identity, which no scenario may pass with."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rpe.faults.actions import Step
from rpe.faults.kinds.base import FaultContext, FaultKind

__all__ = ["Nothing"]


class Nothing(FaultKind):
    """Does nothing. It takes the place of a fault to see whether a scenario would notice its absence."""

    on: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """The servers it leaves alone."""
        return self.on

    def actions(self, context: FaultContext) -> tuple[Step, ...]:
        """Nothing at all."""
        return ()
