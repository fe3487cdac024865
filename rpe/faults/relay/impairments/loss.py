"""Random loss: each datagram has the same chance to be lost, whatever became of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rpe.faults.relay.decision import Delivery
from rpe.faults.relay.impairments.base import Draw, Settings, Stage, probability, setting

__all__ = ["Loss"]


@dataclass(frozen=True, slots=True)
class Loss(Settings):
    """A datagram is lost with probability `rate` (a Bernoulli process)."""

    kind: ClassVar[str] = "loss"
    rank: ClassVar[int] = 1
    rate: float = setting(probability)

    def stage(self) -> Stage[Loss]:
        """Draw once a datagram."""
        return _LossStage(self)


class _LossStage(Stage[Loss]):
    __slots__ = ()

    def pass_on(self, copy: Delivery, size: int, draw: Draw) -> Sequence[Delivery]:
        return () if draw() < self.settings.rate else (copy,)
