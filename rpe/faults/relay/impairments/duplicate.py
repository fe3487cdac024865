"""Duplication: a datagram arrives twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rpe.faults.relay.decision import Delivery
from rpe.faults.relay.impairments.base import Draw, Settings, Stage, probability, setting

__all__ = ["Duplicate"]


@dataclass(frozen=True, slots=True)
class Duplicate(Settings):
    """A datagram is sent twice with probability `rate`; both copies go through what comes after."""

    kind: ClassVar[str] = "duplicate"
    rank: ClassVar[int] = 2
    rate: float = setting(probability)

    def stage(self) -> Stage[Duplicate]:
        """Draw once a datagram."""
        return _DuplicateStage(self)


class _DuplicateStage(Stage[Duplicate]):
    __slots__ = ()

    def pass_on(self, copy: Delivery, size: int, draw: Draw) -> Sequence[Delivery]:
        return (copy, copy) if draw() < self.settings.rate else (copy,)
