"""Loss in bursts: the Gilbert-Elliott model.

A chain of two states, good and bad, takes one step a datagram; each state loses with a
probability of its own. E. N. Gilbert, "Capacity of a burst-noise channel" (Bell System
Technical Journal 39, 1960) has no loss in the good state; E. O. Elliott, "Estimates of
error rates for codes on burst-noise channels" (the same, 42, 1963) allows it in both.
RFC 3611 (section 4.7) reports bursts and gaps of RTP streams by the same picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rpe.faults.relay.decision import Delivery
from rpe.faults.relay.impairments.base import Draw, Settings, Stage, probability, setting

__all__ = ["BurstLoss"]


@dataclass(frozen=True, slots=True)
class BurstLoss(Settings):
    """The state turns bad with probability `enter` and good again with `leave`, counted in datagrams.

    So a bad spell is 1 / `leave` datagrams long on average, and the share of datagrams
    that meet it is `enter` / (`enter` + `leave`). `loss` is the chance to be lost in the bad
    state, `good_loss` in the good one. With `leave` at 0 a bad spell lasts for ever.
    """

    kind: ClassVar[str] = "burst_loss"
    rank: ClassVar[int] = 1
    enter: float = setting(probability)
    leave: float = setting(probability)
    loss: float = setting(probability, 1.0)
    good_loss: float = setting(probability, 0.0)

    def stage(self) -> Stage[BurstLoss]:
        """Begin in the good state."""
        return _BurstLossStage(self)


class _BurstLossStage(Stage[BurstLoss]):
    """First the state takes its step, then the datagram meets the state: two draws each."""

    __slots__ = ("_bad",)

    def __init__(self, settings: BurstLoss) -> None:
        super().__init__(settings)
        self._bad = False

    def pass_on(self, copy: Delivery, size: int, draw: Draw) -> Sequence[Delivery]:
        settings = self.settings
        turn, fate = draw(), draw()
        if turn < (settings.leave if self._bad else settings.enter):
            self._bad = not self._bad
        return () if fate < (settings.loss if self._bad else settings.good_loss) else (copy,)
