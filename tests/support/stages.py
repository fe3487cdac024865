"""A toxic's stage on its own, in virtual time: what it sends, when, and what it asks for."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from rpe.faults.proxy.settings import with_attributes
from rpe.faults.proxy.stage import Stage
from rpe.faults.proxy.toxics import KINDS

__all__ = ["Bench"]


class Bench:
    """A stage of one kind between a test and a record of its doings. Implements `Port`.

    `sent` has the moment in milliseconds and the bytes of each piece; None stands for the end
    of the stream.
    """

    def __init__(self, kind: str, *, seed: int = 0, **attributes: int) -> None:
        self.rng = Random(seed)
        self.sent: list[tuple[float, bytes | None]] = []
        self.arrivals: list[float] = []
        self.ended: list[tuple[float, str]] = []
        self.held = False
        self.acted_on: list[int] = []
        self._now_s = 1000.0
        self._wake_at_s = math.inf
        self._kind = KINDS[kind]
        self.stage: Stage[Any] = self._kind.stage(self.settings(**attributes), self)
        self.stage.start()

    def settings(self, **attributes: int) -> Any:
        return with_attributes(self._kind.defaults, attributes, go_type="")

    def feed(self, data: bytes) -> None:
        self.stage.feed(data, self._now_s)

    def update(self, **attributes: int) -> None:
        self.stage.update(self.settings(**attributes))

    def pass_ms(self, time_ms: float, *, late_ms: float = 0.0) -> None:
        """Let time pass; each timer fires `late_ms` after its moment."""
        end_s = self._now_s + time_ms / 1000
        while self._wake_at_s + late_ms / 1000 <= end_s:
            self._now_s = self._wake_at_s + late_ms / 1000
            self._wake_at_s = math.inf
            self.stage.wake()
        self._now_s = end_s

    @property
    def sizes(self) -> list[tuple[float, int]]:
        """When pieces of which size were sent."""
        return [(at_ms, len(data)) for at_ms, data in self.sent if data is not None]

    @property
    def data(self) -> bytes:
        return b"".join(data for _, data in self.sent if data is not None)

    def _now_ms(self) -> float:
        return round((self._now_s - 1000.0) * 1000, 6)

    # --- Port -----------------------------------------------------------------------------------------------

    def now(self) -> float:
        return self._now_s

    def send(self, data: bytes, arrived_s: float, /) -> None:
        self.sent.append((self._now_ms(), data))
        self.arrivals.append(round((arrived_s - 1000.0) * 1000, 6))

    def finish(self) -> None:
        self.sent.append((self._now_ms(), None))

    def close(self) -> None:
        self.ended.append((self._now_ms(), "close"))

    def reset(self) -> None:
        self.ended.append((self._now_ms(), "reset"))

    def hold(self) -> None:
        self.held = True

    def release(self) -> None:
        self.held = False

    def wake_at(self, when_s: float) -> None:
        self._wake_at_s = max(when_s, self._now_s)

    def cancel_wake(self) -> None:
        self._wake_at_s = math.inf

    def acted(self, size: int = 0) -> None:
        self.acted_on.append(size)
