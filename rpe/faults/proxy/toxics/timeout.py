"""Discards all bytes, and closes the connection after a time."""

from __future__ import annotations

from dataclasses import dataclass

from rpe.faults.proxy.settings import attribute
from rpe.faults.proxy.stage import Stage
from rpe.faults.proxy.toxic import Kind

__all__ = ["KIND", "TimeoutSettings"]


@dataclass(frozen=True, slots=True)
class TimeoutSettings:
    """The connection is closed `timeout_ms` after the toxic began to act on it; 0 is never."""

    timeout_ms: int = attribute("timeout")


class TimeoutStage(Stage[TimeoutSettings]):
    """A fixed time, whatever passes: a peer that keeps sending does not put the end off.

    Removing the toxic closes the connection, because bytes are missing from its stream.
    """

    __slots__ = ()

    def start(self) -> None:
        if self.settings.timeout_ms:
            self.port.wake_at(self.port.now() + self.settings.timeout_ms / 1000)

    def feed(self, data: bytes, arrived_s: float) -> None:
        self.port.acted(len(data))

    def finish(self) -> None:
        self._close()

    def wake(self) -> None:
        self._close()

    def update(self, settings: TimeoutSettings) -> None:
        self.settings = settings
        self.port.cancel_wake()
        self.start()

    def stop(self) -> None:
        self.port.cancel_wake()

    def removed(self) -> None:
        self._close()

    def _close(self) -> None:
        self.port.acted()
        self.port.close()


KIND = Kind("timeout", TimeoutSettings(), TimeoutStage)
