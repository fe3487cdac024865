"""When operations start, decided before the run: an open loop, which a slow client cannot slow down."""

from __future__ import annotations

import math
import random

__all__ = ["constant", "poisson"]


def constant(rate_per_s: float, start_s: float, stop_s: float) -> tuple[float, ...]:
    """Return evenly spaced instants in [start_s, stop_s): the first at `start_s`, then 1/rate apart.

    Each instant is computed from its number, so that no rounding error adds up.
    Raises ValueError where the rate is not a positive, finite number.
    """
    _check(rate_per_s)
    count = max(0, math.ceil((stop_s - start_s) * rate_per_s - 1e-9))
    return tuple(start_s + number / rate_per_s for number in range(count))


def poisson(rate_per_s: float, start_s: float, stop_s: float, rng: random.Random) -> tuple[float, ...]:
    """Return the instants of a Poisson process in [start_s, stop_s): independent users, no rhythm.

    The gaps are exponentially distributed with a mean of 1/rate, drawn from `rng`.
    Raises ValueError where the rate is not a positive, finite number.
    """
    _check(rate_per_s)
    instants: list[float] = []
    instant_s = start_s + rng.expovariate(rate_per_s)
    while instant_s < stop_s:
        instants.append(instant_s)
        instant_s += rng.expovariate(rate_per_s)
    return tuple(instants)


def _check(rate_per_s: float) -> None:
    if not (rate_per_s > 0 and math.isfinite(rate_per_s)):
        raise ValueError(f"a rate must be a positive number of arrivals per second, not {rate_per_s}")
