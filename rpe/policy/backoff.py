"""Exponential backoff with jitter: how long to wait before trying the same thing again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rpe.policy._settings import check_number, check_relation

if TYPE_CHECKING:
    from random import Random

__all__ = ["BackoffSettings", "backoff_s"]

# The largest count that a float still holds exactly: a longer series of failures waits no longer.
_MOST_STEPS = 1 << 53


@dataclass(frozen=True, slots=True, kw_only=True)
class BackoffSettings:
    """How waits grow.

    Arguments:
        initial_s: the nominal wait before the first retry, in seconds.
        multiplier: each further nominal wait is this many times the one before.
        max_s: no nominal wait is longer, in seconds.
        jitter: a wait is drawn from [1 - jitter, 1 + jitter] times the nominal one, so
            that clients which failed together do not come back together.

    Raises:
        ConfigurationError: a setting is out of range; the text names it.
    """

    initial_s: float = 1.0
    multiplier: float = 2.0
    max_s: float = 30.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        check_number("BackoffSettings.initial_s", self.initial_s, above=0.0)
        check_number("BackoffSettings.multiplier", self.multiplier, least=1.0)
        check_number("BackoffSettings.max_s", self.max_s, above=0.0)
        check_number("BackoffSettings.jitter", self.jitter, most=1.0)
        check_relation(self.max_s >= self.initial_s, "BackoffSettings.max_s", "at least initial_s")


def backoff_s(settings: BackoffSettings, n: int, rng: Random) -> float:
    """Return the wait before the n-th retry (0-based), in seconds.

    The power is compared with the cap as a logarithm before it is raised, so no `n`
    overflows. The result is never negative and never above `max_s * (1 + jitter)`.
    """
    steps = min(max(n, 0), _MOST_STEPS)
    growth = math.log(settings.multiplier) * steps
    if growth >= math.log(settings.max_s) - math.log(settings.initial_s):
        nominal_s = settings.max_s
    else:
        nominal_s = min(settings.initial_s * settings.multiplier**steps, settings.max_s)
    jitter = settings.jitter
    return nominal_s * min(1.0 - jitter + 2.0 * jitter * rng.random(), 1.0 + jitter)
