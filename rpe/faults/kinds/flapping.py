"""flapping: a fault that comes and goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator

from rpe.faults.actions import Step
from rpe.faults.kinds.base import FaultContext, FaultKind, ServerNames

__all__ = ["Flapping", "Periodic", "Seeded", "SeededMeans"]

Phase = Annotated[float, Field(ge=0.01, allow_inf_nan=False)]
"""The length of a phase in seconds. Shorter ones would be over before a proxy has taken the change."""

SHORTEST_PHASE_S = 0.01


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Periodic(_Settings):
    """On for `on_s`, off for `off_s`, and again, beginning with on."""

    on_s: Phase
    off_s: Phase

    def phases(self, random: Random) -> Iterator[tuple[float, float]]:
        """Yield pairs of on and off times in seconds, for ever."""
        while True:
            yield self.on_s, self.off_s


class SeededMeans(_Settings):
    """The mean lengths of exponentially distributed phases, in seconds."""

    mean_on_s: Phase
    mean_off_s: Phase


class Seeded(_Settings):
    """Phases of random length: failures and repairs as a memoryless process."""

    seeded: SeededMeans

    def phases(self, random: Random) -> Iterator[tuple[float, float]]:
        """Yield pairs of on and off times in seconds, for ever."""
        while True:
            yield (
                max(SHORTEST_PHASE_S, random.expovariate(1 / self.seeded.mean_on_s)),
                max(SHORTEST_PHASE_S, random.expovariate(1 / self.seeded.mean_off_s)),
            )


def _with_servers(fault: object, on: object) -> FaultKind:
    """Make the inner fault: a kind's name, or a mapping of one kind's name to its settings."""
    from rpe.faults.kinds import KINDS  # the registry holds this kind too

    if isinstance(fault, str):
        fault = {fault: {}}
    if not isinstance(fault, Mapping) or len(fault) != 1:
        raise ValueError("name exactly one fault kind")
    ((name, settings),) = fault.items()
    if name not in KINDS:
        raise ValueError(f"no fault kind is named {name!r}; known: {', '.join(sorted(KINDS))}")
    kind = KINDS[name]
    if kind.scheduled or "on" not in kind.model_fields:
        raise ValueError(f"{name!r} cannot flap")
    return kind.model_validate({**(settings or {}), "on": on})


class Flapping(FaultKind):
    """Another fault, switched on and off on the servers in `on` by a schedule.

    `fault` is a kind's name, or one kind with its settings but without `on`.
    """

    scheduled: ClassVar[bool] = True
    on: ServerNames
    schedule: Periodic | Seeded
    fault: Annotated[
        dict[str, Any] | str,
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string"},
                    {"type": "object", "minProperties": 1, "maxProperties": 1},
                ],
                "default": "down",
            }
        ),
    ] = "down"

    @field_validator("fault", mode="after")
    @classmethod
    def _known(cls, fault: dict[str, Any] | str) -> dict[str, Any] | str:
        _with_servers(fault, ["any"])
        return fault

    @property
    def targets(self) -> tuple[str, ...]:
        """The servers in `on`."""
        return tuple(dict.fromkeys(self.on))

    def actions(self, context: FaultContext) -> tuple[Step, ...]:
        """Switch the inner fault on and off until the time is over; the end of the fault undoes the rest."""
        inner = _with_servers(self.fault, list(self.targets)).actions(context)
        steps: list[Step] = []
        begin_s = 0.0
        for on_s, off_s in self.schedule.phases(context.random):
            if begin_s >= context.duration_s:
                break
            steps += [replace(step, offset_s=begin_s) for step in inner]
            end_s = begin_s + on_s
            if end_s < context.duration_s:
                steps += [replace(step, offset_s=end_s, on=False) for step in reversed(inner)]
            begin_s = end_s + off_s
        return tuple(steps)
