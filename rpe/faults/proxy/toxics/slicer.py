"""Cuts chunks into small pieces and waits after each."""

from __future__ import annotations

from dataclasses import dataclass

from rpe.faults.proxy.paced import Departure, PacedStage
from rpe.faults.proxy.settings import attribute
from rpe.faults.proxy.stage import Port
from rpe.faults.proxy.toxic import Kind

__all__ = ["KIND", "SlicerSettings"]


@dataclass(frozen=True, slots=True)
class SlicerSettings:
    """Pieces are at most average plus variation long; `delay_us` (microseconds!) follows each.

    The variation must not exceed the average. An average of 0 says nothing about the size of
    pieces, so it must be given.
    """

    average_bytes: int = attribute("average_size")
    variation_bytes: int = attribute("size_variation")
    delay_us: int = attribute("delay")

    def check(self) -> None:
        """Raise ValueError for settings under which no piece would be short enough."""
        if self.average_bytes < 1:
            raise ValueError("slicer needs an average_size of 1 or more")
        if self.variation_bytes > self.average_bytes:
            raise ValueError("size_variation must not exceed average_size")


class SlicerStage(PacedStage[SlicerSettings]):
    """Halves what is too long, the cut moved at random, until every piece is short enough.

    Pieces are written one by one; TCP may still join them. When the settings change, the rest
    of the chunk in hand goes out as one piece.
    """

    __slots__ = ("_free_at_s", "_sizes")

    def __init__(self, settings: SlicerSettings, port: Port) -> None:
        super().__init__(settings, port)
        self._sizes: list[int] = []
        self._free_at_s = 0.0

    def plan(self, size: int, arrived_s: float) -> Departure:
        if not self._sizes:
            self._sizes = self._cut(size)
            self.port.acted(size)
        due_s = max(self.port.now(), self._free_at_s)
        self._free_at_s = due_s + self.settings.delay_us / 1_000_000
        return Departure(self._sizes.pop(), due_s, arrived_s)

    def replan(self) -> None:
        self._sizes = []
        self._free_at_s = 0.0

    def _cut(self, size: int) -> list[int]:
        """Return the sizes of the pieces, last one first."""
        variation = self.settings.variation_bytes
        longest = self.settings.average_bytes + variation
        pieces = []
        uncut = [size]
        while uncut:
            size = uncut.pop()
            if size <= longest:
                pieces.append(size)
                continue
            cut = size // 2
            if variation:
                cut += self.port.rng.randrange(-variation, variation)
            cut = min(max(cut, 1), size - 1)
            uncut += (cut, size - cut)
        return pieces


KIND = Kind("slicer", SlicerSettings(), SlicerStage)
