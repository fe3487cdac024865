"""Passes the end of a stream on only after a time."""

from __future__ import annotations

from dataclasses import dataclass

from rpe.faults.proxy.settings import attribute
from rpe.faults.proxy.stage import Port, Stage
from rpe.faults.proxy.toxic import Kind

__all__ = ["KIND", "SlowCloseSettings"]


@dataclass(frozen=True, slots=True)
class SlowCloseSettings:
    """The end is passed on `delay_ms` after it came."""

    delay_ms: int = attribute("delay")


class SlowCloseStage(Stage[SlowCloseSettings]):
    """Bytes pass at once. A change of the delay starts the wait again in full; removal ends it."""

    __slots__ = ("_finishing",)

    def __init__(self, settings: SlowCloseSettings, port: Port) -> None:
        super().__init__(settings, port)
        self._finishing = False

    def start(self) -> None:
        if self._finishing:
            self.finish()

    def finish(self) -> None:
        self._finishing = True
        self.port.acted()
        self.port.wake_at(self.port.now() + self.settings.delay_ms / 1000)

    def wake(self) -> None:
        self._finishing = False
        self.port.finish()

    def update(self, settings: SlowCloseSettings) -> None:
        self.settings = settings
        if self._finishing:
            self.finish()

    def stop(self) -> None:
        self.port.cancel_wake()
        if self._finishing:
            self.wake()


KIND = Kind("slow_close", SlowCloseSettings(), SlowCloseStage)
