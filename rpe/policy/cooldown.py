"""How long an endpoint that refused for load is left alone while others can serve.

A throttled endpoint answers fast. Without a pause it would look idle and attract the very
load that it refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rpe.policy._settings import check_number
from rpe.policy.backoff import BackoffSettings, backoff_s

if TYPE_CHECKING:
    from random import Random

__all__ = ["CooldownSettings", "cooldown_s"]


_THROTTLE_PAUSES = BackoffSettings(initial_s=0.1, multiplier=2.0, max_s=5.0, jitter=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class CooldownSettings:
    """How long endpoints cool down.

    Arguments:
        max_pushback_s: a server's hint to stay away longer than this is cut to it, in seconds.
        throttle: the pauses of an endpoint that refuses without a hint; they grow with each
            further refusal and start again after a success.

    Raises:
        ConfigurationError: a setting is out of range; the text names it.
    """

    max_pushback_s: float = 30.0
    throttle: BackoffSettings = _THROTTLE_PAUSES

    def __post_init__(self) -> None:
        check_number("CooldownSettings.max_pushback_s", self.max_pushback_s)


def cooldown_s(settings: CooldownSettings, *, throttles: int, pushback_s: float | None, rng: Random) -> float:
    """Return how long to leave an endpoint alone, in seconds; 0.0: not at all.

    Arguments:
        throttles: refusals in a row, the present one included; 0 if the attempt did not
            end by one.
        pushback_s: the server's own hint, which counts more; one that is negative or not a
            number gives no time, so it counts as none.
    """
    if pushback_s is not None and pushback_s >= 0.0:
        return min(pushback_s, settings.max_pushback_s)
    return backoff_s(settings.throttle, throttles - 1, rng) if throttles else 0.0
