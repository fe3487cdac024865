"""Closes a connection once so many bytes have passed."""

from __future__ import annotations

from dataclasses import dataclass

from rpe.faults.proxy.settings import attribute
from rpe.faults.proxy.stage import Port, Stage
from rpe.faults.proxy.toxic import Kind

__all__ = ["KIND", "LimitDataSettings"]


@dataclass(frozen=True, slots=True)
class LimitDataSettings:
    """Exactly `max_bytes` pass; at 0 the first byte closes the connection and does not pass."""

    max_bytes: int = attribute("bytes")


class LimitDataStage(Stage[LimitDataSettings]):
    """Counts while it acts, through changes of its settings.

    A limit that is lowered below what has passed acts at the next bytes.
    """

    __slots__ = ("_passed_bytes",)

    def __init__(self, settings: LimitDataSettings, port: Port) -> None:
        super().__init__(settings, port)
        self._passed_bytes = 0

    def feed(self, data: bytes, arrived_s: float) -> None:
        room = max(0, self.settings.max_bytes - self._passed_bytes)
        passing = data[:room]
        self._passed_bytes += len(passing)
        if passing:
            self.port.send(passing, arrived_s)
        if len(data) >= room:
            self.port.acted(len(data))
            self.port.close()


KIND = Kind("limit_data", LimitDataSettings(), LimitDataStage)
