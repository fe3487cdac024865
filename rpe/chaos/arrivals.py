"""When operations start, decided before the run: an open loop, which a slow client cannot slow down."""

from __future__ import annotations

import math
import random
from itertools import islice, takewhile

from rpe.load import arrivals

__all__ = ["constant", "poisson"]


def constant(rate_per_s: float, start_s: float, stop_s: float) -> tuple[float, ...]:
    """Return evenly spaced instants in [start_s, stop_s): the first at `start_s`, then 1/rate apart.

    Raises ValueError where the rate is not a positive, finite number.
    """
    rate = arrivals.Steady(rate_per_s)
    count = max(0, math.ceil((stop_s - start_s) * rate_per_s - 1e-9))
    return tuple(start_s + after_s for after_s in islice(arrivals.constant(rate), count))


def poisson(rate_per_s: float, start_s: float, stop_s: float, rng: random.Random) -> tuple[float, ...]:
    """Return the instants of a Poisson process in [start_s, stop_s): independent users, no rhythm.

    The gaps are exponentially distributed with a mean of 1/rate, drawn from `rng`.
    Raises ValueError where the rate is not a positive, finite number.
    """
    due = arrivals.poisson(arrivals.Steady(rate_per_s), rng)
    return tuple(takewhile(lambda instant_s: instant_s < stop_s, (start_s + after_s for after_s in due)))
