"""How long the work on a request takes, by its data and by the load, as the script's `service` has it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rpe.data import Audio, RuntimeData, Text
from rpe.fakes.service_script import ServiceModel, WarmUp

__all__ = ["CallService", "ServerLoad"]


@dataclass(slots=True)
class ServerLoad:
    """What a server is busy with: `working` counts the calls and sessions that it works on.

    `first_s` is when the first call came by the present script, None before.
    """

    working: int = 0
    first_s: float | None = None


class CallService:
    """Times the work on one call, or on each chunk of one session.

    Arguments:
        number: the number of the call, from 0, since the script was set.
        warm_from_s: when the time of the warm-up began.
    """

    __slots__ = ("_load", "_model", "_number", "_warm_from_s")

    def __init__(self, model: ServiceModel, load: ServerLoad, number: int, warm_from_s: float) -> None:
        self._model = model
        self._load = load
        self._number = number
        self._warm_from_s = warm_from_s

    def takes_s(self, data: Iterable[RuntimeData], now_s: float) -> float:
        """Return how long the work on these data takes that begins now, in seconds."""
        model = self._model
        alone_s = model.base_s
        for item in data:
            if isinstance(item, Audio):
                alone_s += model.real_time_factor * item.duration_s
            elif isinstance(item, Text):
                alone_s += model.per_character_s * len(item.text)
        others = max(self._load.working - 1, 0)
        return alone_s * (1 + model.per_concurrent * others) * self._cold(model.warm_up, now_s)

    def _cold(self, warm_up: WarmUp | None, now_s: float) -> float:
        if warm_up is None:
            return 1.0
        if warm_up.calls is not None:
            cold = self._number < warm_up.calls
        else:
            cold = now_s - self._warm_from_s < (warm_up.for_s or 0.0)
        return warm_up.factor if cold else 1.0
