"""What every fault kind is: frozen settings, and one pure method that decides the actions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from random import Random
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from rpe.faults.actions import Action, Step, switched_on

__all__ = [
    "ConstantFault",
    "FaultContext",
    "FaultKind",
    "Rate",
    "Seconds",
    "ServerNames",
    "WholeMilliseconds",
]

# Strict models refuse a list where a tuple is declared, and files know lists only.
ServerNames = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False, min_length=1)]
"""The servers a fault is done to, by their names in the scenario."""

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A time in seconds, zero or more."""

WholeMilliseconds = Annotated[float, Field(ge=0.001, allow_inf_nan=False)]
"""A time in seconds that a proxy keeps in whole milliseconds, so at least one of them."""

Rate = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
"""Which share of all datagrams is met, up to 1: all of them."""


@dataclass(frozen=True, slots=True)
class FaultContext:
    """What a fault may know when it decides: how long it is in force, and its own generator.

    `random` is derived from the run's seed and the fault's name (`rpe.faults.seeds`).
    """

    duration_s: float
    random: Random


class FaultKind(BaseModel, ABC):
    """The settings of one fault. Two faults with equal settings and seeds do the same."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    scheduled: ClassVar[bool] = False
    """Whether its steps are spread over time; such a kind cannot be put into another schedule."""

    @abstractmethod
    def actions(self, context: FaultContext) -> tuple[Step, ...]:
        """Decide what is done and when, in order of time. Draws from `context.random` only."""

    @property
    @abstractmethod
    def targets(self) -> tuple[str, ...]:
        """The servers this fault touches, by name, in order and without repeats."""


class ConstantFault(FaultKind):
    """A fault that is wholly in force from its start to its end, on the servers in `on`."""

    on: ServerNames

    @property
    def targets(self) -> tuple[str, ...]:
        """The servers in `on`."""
        return tuple(dict.fromkeys(self.on))

    def actions(self, context: FaultContext) -> tuple[Step, ...]:
        """Apply everything at the start; the end of the fault undoes it."""
        return switched_on(action for server in self.targets for action in self.applied_to(server))

    @abstractmethod
    def applied_to(self, server: str) -> tuple[Action, ...]:
        """Decide what is done to one server."""
