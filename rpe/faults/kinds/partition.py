"""partition: the network falls into groups that cannot reach each other."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from rpe.faults.actions import Step, switched_on
from rpe.faults.kinds.base import FaultContext, FaultKind, ServerNames
from rpe.faults.toxics import drop_all

__all__ = ["Partition"]


class Partition(FaultKind):
    """Links between groups lose everything both ways; those within a group work.

    One group holds `client`, the client under test. As servers here talk to the client
    only, what a partition does is to take the servers of all other groups away from it.
    Servers that no group names stay with the client.
    """

    client: ClassVar[str] = "client"
    groups: Annotated[tuple[ServerNames, ...], Field(strict=False, min_length=2)]

    @model_validator(mode="after")
    def _each_member_once(self) -> Self:
        members = [member for group in self.groups for member in group]
        if len(set(members)) < len(members):
            raise ValueError("a member may stand in one group only, and once")
        if self.client not in members:
            raise ValueError(f"one group must hold {self.client!r}, the client under test")
        return self

    @property
    def targets(self) -> tuple[str, ...]:
        """The servers that are cut off from the client."""
        return tuple(name for group in self.groups if self.client not in group for name in group)

    def actions(self, context: FaultContext) -> tuple[Step, ...]:
        """Discard both ways on the link of each server beyond the cut."""
        return switched_on(toxic for server in self.targets for toxic in drop_all(server, "both"))
