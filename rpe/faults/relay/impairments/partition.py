"""Nothing passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rpe.faults.relay.decision import Delivery
from rpe.faults.relay.impairments.base import Draw, Settings, Stage

__all__ = ["Partition"]


@dataclass(frozen=True, slots=True)
class Partition(Settings):
    """Every datagram is lost in silence; sockets stay open, and nobody is told."""

    kind: ClassVar[str] = "partition"
    rank: ClassVar[int] = 0

    def stage(self) -> Stage[Partition]:
        """Drop everything."""
        return _PartitionStage(self)


class _PartitionStage(Stage[Partition]):
    __slots__ = ()

    def pass_on(self, copy: Delivery, size: int, draw: Draw) -> Sequence[Delivery]:
        return ()
