"""Delays every chunk by a time that is drawn per chunk, without lowering throughput."""

from __future__ import annotations

from dataclasses import dataclass

from rpe.faults.proxy.paced import Departure, PacedStage
from rpe.faults.proxy.settings import attribute
from rpe.faults.proxy.toxic import Kind

__all__ = ["KIND", "LatencySettings"]

ROOM_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LatencySettings:
    """Each chunk leaves `latency_ms` after it arrived, give or take up to `jitter_ms`."""

    latency_ms: int = attribute("latency")
    jitter_ms: int = attribute("jitter")


class LatencyStage(PacedStage[LatencySettings]):
    """Chunks wait side by side, so throughput stays; order stays too, so a late one holds back the next.

    The delay counts from the arrival at the socket plus earlier latencies: several add up.
    """

    __slots__ = ()

    def plan(self, size: int, arrived_s: float) -> Departure:
        settings = self.settings
        delay_ms = settings.latency_ms
        if settings.jitter_ms:
            delay_ms += self.port.rng.randrange(-settings.jitter_ms, settings.jitter_ms)
        due_s = arrived_s + max(0, delay_ms) / 1000
        if delay_ms > 0:
            self.port.acted(size)
        return Departure(size, due_s, due_s)

    def room_bytes(self) -> int:
        return ROOM_BYTES


KIND = Kind("latency", LatencySettings(), LatencyStage)
