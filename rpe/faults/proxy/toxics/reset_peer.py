"""Resets a connection a time after its first bytes."""

from __future__ import annotations

from dataclasses import dataclass

from rpe.faults.proxy.settings import attribute
from rpe.faults.proxy.stage import Port, Stage
from rpe.faults.proxy.toxic import Kind

__all__ = ["KIND", "ResetPeerSettings"]


@dataclass(frozen=True, slots=True)
class ResetPeerSettings:
    """The reset comes `timeout_ms` after the first bytes, or the end, of this direction."""

    timeout_ms: int = attribute("timeout")


class ResetPeerStage(Stage[ResetPeerSettings]):
    """Both peers are reset, whichever direction the toxic is on; what triggers it is discarded.

    A change of the time starts the wait again. Removing the toxic while it waits lets the
    connection live on, without the bytes that were discarded.
    """

    __slots__ = ("_finishing", "_triggered")

    def __init__(self, settings: ResetPeerSettings, port: Port) -> None:
        super().__init__(settings, port)
        self._triggered = False
        self._finishing = False

    def feed(self, data: bytes, arrived_s: float) -> None:
        self.port.acted(len(data))
        self._trigger()

    def finish(self) -> None:
        self._finishing = True
        self._trigger()

    def wake(self) -> None:
        self.port.acted()
        self.port.reset()

    def update(self, settings: ResetPeerSettings) -> None:
        self.settings = settings
        if self._triggered:
            self._triggered = False
            self._trigger()

    def stop(self) -> None:
        self.port.cancel_wake()
        self._triggered = False
        if self._finishing:
            self._finishing = False
            self.port.finish()

    def _trigger(self) -> None:
        if not self._triggered:
            self._triggered = True
            self.port.wake_at(self.port.now() + self.settings.timeout_ms / 1000)


KIND = Kind("reset_peer", ResetPeerSettings(), ResetPeerStage)
