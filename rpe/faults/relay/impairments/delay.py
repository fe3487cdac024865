"""Delay with jitter: everything arrives late, in order unless told otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rpe.errors import ConfigurationError
from rpe.faults.relay.decision import Delivery
from rpe.faults.relay.impairments.base import Draw, Settings, Stage, seconds, setting

__all__ = ["Delay"]


def _flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be true or false, and is {value!r}")


@dataclass(frozen=True, slots=True)
class Delay(Settings):
    """Each datagram leaves `delay_s` later, give or take up to `jitter_s`, evenly spread.

    With `keep_order`, a datagram with a long delay holds back those behind it, as a queue in a
    router does. Without, they overtake it, as under Linux's netem, whose jitter reorders.
    """

    kind: ClassVar[str] = "delay"
    rank: ClassVar[int] = 5
    delay_s: float = setting(seconds)
    jitter_s: float = setting(seconds, 0.0)
    keep_order: bool = setting(_flag, True)

    def stage(self) -> Stage[Delay]:
        """Draw once a datagram, also where there is no jitter."""
        return _DelayStage(self)


class _DelayStage(Stage[Delay]):
    __slots__ = ("_last_at_s",)

    def __init__(self, settings: Delay) -> None:
        super().__init__(settings)
        self._last_at_s = 0.0

    def pass_on(self, copy: Delivery, size: int, draw: Draw) -> Sequence[Delivery]:
        settings = self.settings
        spread_s = (2 * draw() - 1) * settings.jitter_s
        at_s = copy.at_s + max(0.0, settings.delay_s + spread_s)
        if settings.keep_order:
            at_s = max(at_s, self._last_at_s)
        self._last_at_s = max(at_s, self._last_at_s)
        return (copy._replace(at_s=at_s),)
