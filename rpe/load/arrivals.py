"""When operations start, decided by a rate alone: an open loop, which a slow server cannot slow down.

A rate says when the n-th arrival is due; n need not be whole. Evenly spaced arrivals are those of n = 0, 1, 2
and so on. A Poisson process has exponentially distributed steps of mean 1 between its n: put through the same
rate, they are its arrivals, also where the rate changes (the inversion method, Cinlar 1975).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

__all__ = ["Ramp", "Rate", "Steady", "constant", "poisson"]


@dataclass(frozen=True)
class Steady:
    """A rate that does not change. Raises ValueError where it is not a positive, finite number."""

    rate_per_s: float

    def __post_init__(self) -> None:
        _check(self.rate_per_s, self.rate_per_s > 0)

    def due_s(self, number: float) -> float:
        """Return the seconds from the start to the arrival of this number."""
        return number / self.rate_per_s


@dataclass(frozen=True)
class Ramp:
    """A rate that goes from one value to another at an even pace, and then stays there.

    Raises ValueError where a rate is negative or not finite, the last one zero, or `over_s` not positive.
    """

    from_per_s: float
    to_per_s: float
    over_s: float

    def __post_init__(self) -> None:
        _check(self.from_per_s, self.from_per_s >= 0)
        _check(self.to_per_s, self.to_per_s > 0)
        if not (self.over_s > 0 and math.isfinite(self.over_s)):
            raise ValueError(f"a ramp takes a positive number of seconds, not {self.over_s}")

    def due_s(self, number: float) -> float:
        """Return the seconds from the start to the arrival of this number."""
        slope = (self.to_per_s - self.from_per_s) / self.over_s
        during = (self.from_per_s + self.to_per_s) / 2 * self.over_s
        if number >= during:
            return self.over_s + (number - during) / self.to_per_s
        # The arrivals until t are from*t + slope*t*t/2. Solved for t in the form that loses no digits.
        root = math.sqrt(max(self.from_per_s**2 + 2 * slope * number, 0.0))
        return 2 * number / (self.from_per_s + root) if number > 0 else 0.0


Rate = Steady | Ramp


def constant(rate: Rate) -> Iterator[float]:
    """Yield evenly spaced arrivals, in seconds from the start, without end: the first one is at 0.

    Each is computed from its number, so that no rounding error adds up.
    """
    for number in count():
        yield rate.due_s(number)


def poisson(rate: Rate, rng: random.Random) -> Iterator[float]:
    """Yield the arrivals of a Poisson process, in seconds from the start, without end: there is no rhythm."""
    number = rng.expovariate(1.0)
    while True:
        yield rate.due_s(number)
        number += rng.expovariate(1.0)


def _check(rate_per_s: float, fine: bool) -> None:
    if not (fine and math.isfinite(rate_per_s)):
        raise ValueError(f"a rate must be a positive number of arrivals per second, not {rate_per_s}")
