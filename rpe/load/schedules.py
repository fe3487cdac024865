"""When work is due: of a source, by its rate; of a closed loop, so long after the last of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat, takewhile
from random import Random

from rpe.load.arrivals import Ramp, Rate, Steady, constant, poisson

__all__ = ["ARRIVALS", "Pauses", "Schedule"]

ARRIVALS = ("constant", "poisson")


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the work of one source is due. Raises ValueError where that cannot be.

    Arguments:
        rate_per_s: arrivals per second; not used where there is a ramp.
        arrivals: `constant`, evenly spaced, or `poisson`, independent of each other.
        ramp: from which rate to which, and in how many seconds; the last rate stays.
        start_s, stop_s: the part of the run in which work is due, in seconds from its start; it has no
            end where `stop_s` is None.
        seed: what the instants of a Poisson process are drawn from.
    """

    rate_per_s: float = 1.0
    arrivals: str = "constant"
    ramp: tuple[float, float, float] | None = None
    start_s: float = 0.0
    stop_s: float | None = None
    seed: str = ""

    def __post_init__(self) -> None:
        if self.arrivals not in ARRIVALS:
            raise ValueError(f"arrivals are {' or '.join(ARRIVALS)}, not {self.arrivals}")
        if self.ramp is not None and len(self.ramp) != 3:
            raise ValueError("a ramp has three numbers: from which rate, to which, and in how many seconds")
        if not (self.start_s >= 0 and math.isfinite(self.start_s)):
            raise ValueError(f"arrivals start at a number of seconds from 0 on, not {self.start_s}")
        if self.stop_s is not None and not self.stop_s > self.start_s:
            raise ValueError(
                f"arrivals stop after they start at {self.start_s:g} s, not at {self.stop_s:g} s"
            )
        self.rate()

    def rate(self) -> Rate:
        """Return the rate, which counts from `start_s`. Raises ValueError where it is none."""
        return Steady(self.rate_per_s) if self.ramp is None else Ramp(*self.ramp)

    def due_s(self, zero_s: float) -> Iterator[float]:
        """Yield the instants, on the clock on which the run starts at `zero_s`."""
        rate = self.rate()
        after_s = constant(rate) if self.arrivals == "constant" else poisson(rate, Random(self.seed))
        start_s = zero_s + self.start_s
        instants = (start_s + each for each in after_s)
        if self.stop_s is None:
            return instants
        stop_s = zero_s + self.stop_s
        return takewhile(lambda instant: instant < stop_s, instants)


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long a closed loop waits after each of its works. Raises ValueError where that cannot be.

    Arguments:
        wait_s: seconds; or the least and the most of them, between which all are equally likely.
        seed: what they are drawn from.
    """

    wait_s: float | tuple[float, float] = 0.0
    seed: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.wait_s, int | float) and len(self.wait_s) != 2:
            raise ValueError(
                f"a pause is one number of seconds, or the least and the most, not {self.wait_s}"
            )
        least_s, most_s = self._bounds_s()
        if not (0 <= least_s <= most_s and math.isfinite(most_s)):
            raise ValueError(f"a pause takes a number of seconds from 0 on, and not {self.wait_s}")

    def each_s(self) -> Iterator[float]:
        """Yield the pauses, in seconds, without end."""
        least_s, most_s = self._bounds_s()
        if least_s == most_s:
            return repeat(least_s)
        rng = Random(self.seed)
        return (rng.uniform(least_s, most_s) for _ in repeat(None))

    def _bounds_s(self) -> tuple[float, float]:
        if isinstance(self.wait_s, int | float):
            return self.wait_s, self.wait_s
        least_s, most_s = self.wait_s
        return least_s, most_s
