"""rebind: a client's packets come from another address all of a sudden."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from rpe.faults.actions import Rebind, Step
from rpe.faults.kinds.base import FaultContext, FaultKind, ServerNames

__all__ = ["AddressChange"]


class AddressChange(FaultKind):
    """A NAT on the way forgets: each server in `on` sees its clients at new addresses; the old ones are dead.

    It happens once, at the fault's start, or again every `every_s`. Connections that live on
    an old address hear nothing more from the server; new ones work at once. What the rest
    of the fault's time is for is to see the client recover.
    """

    scheduled: ClassVar[bool] = True
    on: ServerNames
    every_s: Annotated[float, Field(ge=0.05, allow_inf_nan=False)] | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """The servers in `on`."""
        return tuple(dict.fromkeys(self.on))

    def actions(self, context: FaultContext) -> tuple[Step, ...]:
        """Change all addresses at the start, and at every later moment that lies within the fault."""
        times_s = [0.0]
        if self.every_s is not None:
            while (next_s := len(times_s) * self.every_s) < context.duration_s:
                times_s.append(next_s)
        return tuple(
            Step(at_s, f"{number}.{position}", Rebind(server))
            for number, at_s in enumerate(times_s)
            for position, server in enumerate(self.targets)
        )
