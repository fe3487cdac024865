"""What the parts of a script are made of: units, how long things take, and which calls they happen to."""

from __future__ import annotations

import math
import random
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "Count",
    "Firing",
    "Latency",
    "Lognormal",
    "Part",
    "Positive",
    "Rate",
    "RetryAfter",
    "Seconds",
    "lower",
]


def lower(value: Any) -> Any:
    """Return a text in lower case, and anything else as it is: names may be written in capitals."""
    return value.lower() if isinstance(value, str) else value


Seconds = Annotated[float, Field(strict=True, ge=0, le=86_400, allow_inf_nan=False)]
Rate = Annotated[float, Field(strict=True, ge=0, le=1)]
Count = Annotated[int, Field(strict=True, ge=0)]
Positive = Annotated[int, Field(strict=True, ge=1)]
RetryAfter = Annotated[float, Field(strict=True, ge=-1, le=86_400, allow_inf_nan=False)]
"""Seconds; a negative number asks the caller not to come back."""


class Part(BaseModel):
    """A part of a script: it does not change, and unknown keys are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )


class Lognormal(Part):
    """Times with a long tail: half of them above the median, and a few far above it."""

    median_s: Annotated[float, Field(strict=True, gt=0, le=86_400)]
    sigma: Annotated[float, Field(strict=True, ge=0, le=10)] = 0.5
    """The standard deviation of the logarithm: 0.5 puts the 99th percentile at 3.2 medians."""
    max_s: Seconds | None = None
    """Longer ones are cut to this."""


class Latency(Part):
    """How long each answer takes: a unary one, the `ready` of a session, and each chunk. One of three."""

    fixed_s: Seconds | None = None
    uniform_s: tuple[Seconds, Seconds] | None = None
    """The shortest and the longest."""
    lognormal: Lognormal | None = None

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        given = [name for name in ("fixed_s", "uniform_s", "lognormal") if getattr(self, name) is not None]
        if len(given) != 1:
            told = " and ".join(given) or "none"
            raise ValueError(f"give one of fixed_s, uniform_s and lognormal, not {told}")
        if self.uniform_s is not None and self.uniform_s[0] > self.uniform_s[1]:
            raise ValueError("uniform_s must be [shortest, longest]")
        return self

    def draw_s(self, rng: random.Random) -> float:
        """Return the time that one answer takes, in seconds. Draws at least once, whatever the kind."""
        if self.uniform_s is not None:
            return rng.uniform(*self.uniform_s)
        if (curve := self.lognormal) is not None:
            drawn_s = rng.lognormvariate(math.log(curve.median_s), curve.sigma)
            return drawn_s if curve.max_s is None else min(drawn_s, curve.max_s)
        rng.random()
        return self.fixed_s or 0.0


class Firing(Part):
    """Which calls something happens to; all three must agree. Calls count from when the script was set."""

    rate: Rate = 1.0
    """The share of calls, drawn from the seed of the fake."""
    first: Count | None = None
    """Only the first so many calls."""
    every: Positive | None = None
    """Only each so-many-th call."""

    def fires(self, number: int, draw: float) -> bool:
        """Decide for the call of that number, from 0, with a draw from [0, 1)."""
        return (
            draw < self.rate
            and (self.first is None or number < self.first)
            and (self.every is None or (number + 1) % self.every == 0)
        )
