"""Answers that are good protobuf, and wrong: what a script may do to the meaning of a message.

Where a message carries others inside, the outermost place that fits is taken, and of two
equally deep ones the first in the order of the contract.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rpe.fakes.behaviour import Count, Positive
from rpe.fakes.mouth.script_base import CallFault

__all__ = ["EnumOutOfRange", "MissingField", "SwappedTypes", "UnknownFields", "WrongFault", "WrongOneof"]

_EnumNumber = Annotated[int, Field(strict=True, ge=-(2**31), lt=2**31)]


class _Wrong(CallFault):
    ends: ClassVar[bool] = False

    after_messages: Count = 0


class WrongOneof(_Wrong):
    """Another member of a oneof is set than the one that should be, with the same content where it fits."""

    kind: Literal["wrong_oneof"] = "wrong_oneof"
    oneof: str = ""
    """Its name; any by default."""
    member: str = ""
    """The field to be set in its place; by default the next one in the contract."""


class EnumOutOfRange(_Wrong):
    """An enum has a number that the contract does not name."""

    kind: Literal["enum_out_of_range"] = "enum_out_of_range"
    field: str = ""
    """The name of a field of an enum, set or not; any by default."""
    value: _EnumNumber = 99


class SwappedTypes(_Wrong):
    """A field comes with another wire type: a number where bytes are due, or bytes where a number is."""

    kind: Literal["swapped_types"] = "swapped_types"
    field: str = ""
    """The name of a field that is set; the first by default."""


class MissingField(_Wrong):
    """A field that should be there is not."""

    kind: Literal["missing_field"] = "missing_field"
    field: str = ""
    """The name of a field that is set; the first by default."""


class UnknownFields(_Wrong):
    """Each message, also inside of others, has fields more than the contract has. Callers must bear it."""

    kind: Literal["unknown_fields"] = "unknown_fields"
    count: Positive = 3


WrongFault = WrongOneof | EnumOutOfRange | SwappedTypes | MissingField | UnknownFields
