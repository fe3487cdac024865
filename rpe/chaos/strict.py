"""The base of what is read from a scenario file or a run folder: frozen, strict, no unknown keys."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Items", "Name", "PositiveSeconds", "Rate", "Seconds", "StrictModel"]

T = TypeVar("T")

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A time in seconds, zero or more."""

PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A time in seconds, more than zero."""

Rate = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]
"""How many per second."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+([-_][a-z0-9]+)*$", max_length=80)]
"""A name in lower case, its words joined by hyphens."""

Items = Annotated[tuple[T, ...], Field(strict=False)]
"""A sequence that files write as a list: strict models would refuse a list where a tuple is declared."""


class StrictModel(BaseModel):
    """Settings that do not change, take no unknown key, and take no text for a number.

    The text under each field is its description in the JSON Schema.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)
