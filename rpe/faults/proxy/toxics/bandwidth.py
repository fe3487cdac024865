"""Lets at most so many bytes a second pass, on each connection and direction for itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rpe.faults.proxy.paced import ROOM_BYTES, Departure, PacedStage
from rpe.faults.proxy.settings import attribute
from rpe.faults.proxy.stage import Port
from rpe.faults.proxy.toxic import Kind

__all__ = ["KIND", "BandwidthSettings"]

QUANTUM_MS = 100


@dataclass(frozen=True, slots=True)
class BandwidthSettings:
    """`rate_kb_per_s` counts kilobytes of 1,000 bytes a second, which is bytes a millisecond; 0 stops all."""

    rate_kb_per_s: int = attribute("rate")


class BandwidthStage(PacedStage[BandwidthSettings]):
    """Each piece waits for as long as its bytes take at the rate, then leaves.

    What takes longer than 100 ms is cut into pieces of 100 ms. An idle line saves nothing up;
    only the lateness of the last departure is made good, so that the rate is kept exactly.
    """

    __slots__ = ("_free_at_s",)

    def __init__(self, settings: BandwidthSettings, port: Port) -> None:
        super().__init__(settings, port)
        self._free_at_s = 0.0

    def plan(self, size: int, arrived_s: float) -> Departure:
        self.port.acted(size)
        bytes_per_ms = self.settings.rate_kb_per_s
        if not bytes_per_ms:
            return Departure(size, math.inf, arrived_s)
        piece = min(size, bytes_per_ms * QUANTUM_MS)
        begin_s = max(self._free_at_s, self.port.now() - self.late_s)
        self._free_at_s = begin_s + piece / bytes_per_ms / 1000
        return Departure(piece, self._free_at_s, arrived_s)

    def replan(self) -> None:
        self._free_at_s = self.late_s = 0.0

    def room_bytes(self) -> int:
        return max(ROOM_BYTES, self.settings.rate_kb_per_s * QUANTUM_MS)


KIND = Kind("bandwidth", BandwidthSettings(), BandwidthStage)
