"""packet_loss: packets are lost, one by one or in bursts."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rpe.faults import impairments
from rpe.faults.actions import SetImpairment
from rpe.faults.kinds.base import ConstantFault, Rate
from rpe.faults.toxics import Direction

__all__ = ["Burst", "PacketLoss"]

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Burst(BaseModel):
    """Losses that come in bursts, by the Gilbert-Elliott model; all are probabilities per datagram.

    The link turns bad with `enter` and good again with `leave`: a bad spell is 1 / `leave`
    datagrams long on average. A datagram is lost with `loss` in the bad state and with
    `good_loss` in the good one.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    enter: Rate
    leave: Rate
    loss: Rate = 1.0
    good_loss: Probability = 0.0


class PacketLoss(ConstantFault):
    """Datagrams are lost: each with probability `rate`, or in bursts as `burst` says.

    Everything on the link is lost alike: data, media, connectivity checks, handshakes. What
    was sent on a reliable channel is sent again by its own protocol, and arrives late.
    """

    rate: Rate | None = None
    burst: Burst | None = None
    direction: Direction = "both"

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.rate is None) == (self.burst is None):
            raise ValueError("give one of rate and burst, to say how packets are lost")
        return self

    def applied_to(self, server: str) -> tuple[SetImpairment, ...]:
        """One loss impairment per direction."""
        if self.burst is not None:
            return impairments.burst_loss(server, self.direction, **self.burst.model_dump())
        assert self.rate is not None
        return impairments.loss(server, self.direction, rate=self.rate)
