"""Corruption: a byte of a datagram is not what was sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rpe.faults.relay.decision import Delivery, Flip
from rpe.faults.relay.impairments.base import Draw, Settings, Stage, probability, setting

__all__ = ["Corruption"]


@dataclass(frozen=True, slots=True)
class Corruption(Settings):
    """With probability `rate`, some bits of one byte are turned over, at a place that is drawn.

    The relay sends the datagram anew, so its UDP checksum is right: the receiver gets it, and
    has to find the damage itself (DTLS and SRTP do, by their authentication tags).
    """

    kind: ClassVar[str] = "corruption"
    rank: ClassVar[int] = 3
    rate: float = setting(probability)

    def stage(self) -> Stage[Corruption]:
        """Draw whether, where and which bits: three draws a datagram."""
        return _CorruptionStage(self)


class _CorruptionStage(Stage[Corruption]):
    __slots__ = ()

    def pass_on(self, copy: Delivery, size: int, draw: Draw) -> Sequence[Delivery]:
        chance, place, bits = draw(), draw(), draw()
        if size == 0 or chance >= self.settings.rate:
            return (copy,)
        flip = Flip(int(place * size), 1 + int(bits * 255))
        return (copy._replace(flips=(*copy.flips, flip)),)
