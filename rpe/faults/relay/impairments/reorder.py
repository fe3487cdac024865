"""Reordering: some datagrams are overtaken by those behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rpe.faults.relay.decision import Delivery
from rpe.faults.relay.impairments.base import Draw, Settings, Stage, probability, seconds, setting

__all__ = ["Reorder"]


@dataclass(frozen=True, slots=True)
class Reorder(Settings):
    """With probability `rate` a datagram is held back for `by_s`; all others pass it meanwhile.

    It stands behind delay and bandwidth, so that no queue holds the others back with it.
    """

    kind: ClassVar[str] = "reorder"
    rank: ClassVar[int] = 6
    rate: float = setting(probability)
    by_s: float = setting(seconds)

    def stage(self) -> Stage[Reorder]:
        """Draw once a datagram."""
        return _ReorderStage(self)


class _ReorderStage(Stage[Reorder]):
    __slots__ = ()

    def pass_on(self, copy: Delivery, size: int, draw: Draw) -> Sequence[Delivery]:
        return (
            (copy._replace(at_s=copy.at_s + self.settings.by_s),) if draw() < self.settings.rate else (copy,)
        )
