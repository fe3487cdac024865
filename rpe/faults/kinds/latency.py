"""latency: everything arrives late."""

from __future__ import annotations

from rpe.faults.actions import SetToxic
from rpe.faults.kinds.base import ConstantFault, Seconds, WholeMilliseconds
from rpe.faults.toxics import Direction, latency

__all__ = ["Latency"]


class Latency(ConstantFault):
    """Bytes are held back for `latency_s`, plus or minus up to `jitter_s` drawn by the proxy.

    The delay is one-way: with `direction: both` a round trip takes twice `latency_s`
    longer. Order is kept and throughput is not lowered; connecting is not delayed.
    """

    latency_s: WholeMilliseconds
    jitter_s: Seconds = 0.0
    direction: Direction = "both"

    def applied_to(self, server: str) -> tuple[SetToxic, ...]:
        """One latency toxic per direction."""
        return latency(server, self.direction, latency_s=self.latency_s, jitter_s=self.jitter_s)
