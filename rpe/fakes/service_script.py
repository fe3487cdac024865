"""The part of a script that says how long the work takes: by the length of the data, and by the load."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from rpe.fakes.script_parts import Part, Positive, Seconds

__all__ = ["ServiceModel", "WarmUp"]

Factor = Annotated[float, Field(strict=True, ge=0, le=1_000_000, allow_inf_nan=False)]


class WarmUp(Part):
    """At first everything takes longer, as on a machine that still loads its models. One of two."""

    calls: Positive | None = None
    """So many calls or sessions are slow, counted from when the script was set."""
    for_s: Seconds | None = None
    """So many seconds are slow, counted from the first call since the script was set."""
    factor: Factor = 5.0
    """So many times as long it takes then."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.calls is None) == (self.for_s is None):
            raise ValueError("give one of calls and for_s")
        return self


class ServiceModel(Part):
    """How long the work on each request and each chunk takes, beside `latency`: (base_s + real_time_factor
    * seconds of audio + per_character_s * characters of text) * the load * the warm-up.
    """

    base_s: Seconds = 0.0
    real_time_factor: Factor = 0.0
    """Seconds of work for each second of audio: below 1 it is faster than the audio itself."""
    per_character_s: Seconds = 0.0
    """Seconds of work for each character of text."""
    per_concurrent: Factor = 0.0
    """How much each further call or session that is being worked on adds: with 0.1, one other makes it
    1.1 times as long, and two make it 1.2 times."""
    warm_up: WarmUp | None = None
