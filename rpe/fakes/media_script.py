"""The part of a script that disturbs audio: faults declared by media time, by count, or by rate.

A frame is one result of a session that has audio, or one audio output of a unary answer. The
media clock of an answer is the time of its samples, before anything is done to them: so what
one fault does moves no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema

from rpe.fakes.script_parts import Count, Part, Positive, Rate, Seconds

__all__ = [
    "Clipping",
    "ClockDrift",
    "DropFrame",
    "DuplicateFrame",
    "EndFault",
    "EndMissing",
    "EndTwice",
    "FrameFault",
    "Gap",
    "HalfFrame",
    "LateFrame",
    "MediaFault",
    "MediaScript",
    "ReorderFrame",
    "RepeatSequence",
    "Silence",
    "TimestampJump",
    "WrongChannels",
    "WrongSampleRate",
    "exact",
]

Signed = Annotated[float, Field(strict=True, ge=-86_400, le=86_400, allow_inf_nan=False)]
Uint32 = Annotated[int, Field(strict=True, ge=1, lt=2**32)]


class _Fault(Part):
    call: Count | None = None
    """Only in the call of that number, from 0, since the script was set; without it, in each."""
    rate: Rate = 1.0
    """The share of those frames (or of sessions, for their end), drawn from a seed of the fault's own."""
    unary: ClassVar[bool] = True
    """Whether a unary answer has a place for it."""

    @model_serializer(mode="wrap")
    def _with_kind(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # The kind is at its default in each of them, and still has to be told.
        return {"kind": type(self).model_fields["kind"].default, **handler(self)}


class _FrameFault(_Fault):
    """Which frames something happens to: each, or those of a time, or those of a place in the order."""

    at_s: Seconds | None = None
    """The frame that sounds at this media time, in seconds; with `for_s`, each that sounds from then on."""
    for_s: Seconds | None = None
    """For so long, in seconds of media time."""
    at_result: Count | None = None
    """The frame of that number, from 0."""
    results: Positive | None = None
    """So many frames from `at_result` on; 1 by default."""
    media_s: Annotated[float, Field(strict=True, ge=0)] | None = None
    """In a trace: the media time at which the frame began. It decides nothing."""

    @model_validator(mode="after")
    def _by_time_or_by_count(self) -> Self:
        if self.at_s is not None and self.at_result is not None:
            raise ValueError("give one of at_s and at_result")
        if self.for_s is not None and self.at_s is None:
            raise ValueError("for_s belongs to at_s")
        if self.results is not None and self.at_result is None:
            raise ValueError("results belongs to at_result")
        return self

    def holds(self, number: int, begin_s: Fraction, end_s: Fraction) -> bool:
        """Say whether it means the frame of that number, which sounds from `begin_s` until `end_s`."""
        if self.at_result is not None:
            return self.at_result <= number < self.at_result + (self.results or 1)
        if self.at_s is None:
            return True
        at_s = exact(self.at_s)
        if self.for_s is None:
            return begin_s <= at_s < end_s
        return begin_s < at_s + exact(self.for_s) and at_s < end_s


class _EndFault(_Fault):
    unary: ClassVar[bool] = False


class DropFrame(_FrameFault):
    """The frame is left out; the timestamps of those that follow show the hole."""

    kind: Literal["drop"] = "drop"


class DuplicateFrame(_FrameFault):
    """The frame comes twice."""

    kind: Literal["duplicate"] = "duplicate"
    unary: ClassVar[bool] = False


class ReorderFrame(_FrameFault):
    """The frame comes after so many of the results that follow it, or at the end where there are fewer."""

    kind: Literal["reorder"] = "reorder"
    after: Positive = 1
    unary: ClassVar[bool] = False


class LateFrame(_FrameFault):
    """The frame comes late, and so does all that waits behind it."""

    kind: Literal["late"] = "late"
    delay_s: Seconds


class Gap(_FrameFault):
    """The source stops for a while before the frame: nothing is lost, and the timestamps go on later."""

    kind: Literal["gap"] = "gap"
    by_s: Seconds


class RepeatSequence(_FrameFault):
    """The result has the sequence number of the one before it; the first has none to repeat."""

    kind: Literal["repeat_sequence"] = "repeat_sequence"
    unary: ClassVar[bool] = False


class TimestampJump(_FrameFault):
    """From the frame on, timestamps are off by so much; a negative jump goes back, to 0 at most."""

    kind: Literal["timestamp_jump"] = "timestamp_jump"
    by_s: Signed


class ClockDrift(_FrameFault):
    """The clock of the timestamps goes wrong by so many millionths while these frames sound."""

    kind: Literal["clock_drift"] = "clock_drift"
    ppm: Annotated[float, Field(strict=True, ge=-1_000_000, le=1_000_000, allow_inf_nan=False)]


class WrongSampleRate(_FrameFault):
    """The frame says another sample rate than its samples have."""

    kind: Literal["wrong_sample_rate"] = "wrong_sample_rate"
    sample_rate: Uint32


class WrongChannels(_FrameFault):
    """The frame says another number of channels; samples left over at its end are left out."""

    kind: Literal["wrong_channels"] = "wrong_channels"
    channels: Uint32


class HalfFrame(_FrameFault):
    """The second half of the samples is missing."""

    kind: Literal["half_frame"] = "half_frame"


class Silence(_FrameFault):
    """All samples are 0."""

    kind: Literal["silence"] = "silence"


class Clipping(_FrameFault):
    """Samples are multiplied, and cut off at full scale."""

    kind: Literal["clipping"] = "clipping"
    gain: Annotated[float, Field(strict=True, ge=0, le=1_000_000, allow_inf_nan=False)] = 10.0


class EndMissing(_EndFault):
    """The stream of a session ends without being closed, once the caller has closed its side."""

    kind: Literal["end_missing"] = "end_missing"
    hang: bool = Field(default=False, strict=True)
    """The stream does not end either: there is only silence."""


class EndTwice(_EndFault):
    """A session is closed twice."""

    kind: Literal["end_twice"] = "end_twice"


FrameFault = (
    DropFrame
    | DuplicateFrame
    | ReorderFrame
    | LateFrame
    | Gap
    | RepeatSequence
    | TimestampJump
    | ClockDrift
    | WrongSampleRate
    | WrongChannels
    | HalfFrame
    | Silence
    | Clipping
)
EndFault = EndMissing | EndTwice
MediaFault = Annotated[FrameFault | EndFault, Field(discriminator="kind")]


class MediaScript(Part):
    """Faults of audio. A list in its place is a list of `faults`."""

    faults: tuple[MediaFault, ...] = ()
    """Which can happen to each frame, in this order; each fault has draws of its own."""
    trace: tuple[MediaFault, ...] = ()
    """What happened, as `rpe.fakes.media_trace` tells it, to happen again; each by its count."""

    @model_validator(mode="before")
    @classmethod
    def _list(cls, given: Any) -> Any:
        plain = isinstance(given, Sequence) and not isinstance(given, str | bytes)
        return {"faults": given} if plain and not isinstance(given, Mapping) else given

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Say that a list of faults serves as well."""
        told = handler(schema)
        form = handler.resolve_ref_schema(told)
        form["type"] = ["object", "array"]
        form["items"] = form["properties"]["faults"]["items"]
        return told

    @model_validator(mode="after")
    def _trace_by_count(self) -> Self:
        for number, fault in enumerate(self.trace):
            by_count = isinstance(fault, _EndFault) or fault.at_result is not None
            if not by_count or fault.rate != 1:
                raise ValueError(f"trace.{number}: a trace tells at_result, and leaves nothing to chance")
        return self


def exact(seconds: float) -> Fraction:
    """Return the number that was written: 1.2 s is the begin of a frame, and not a hair before it."""
    return Fraction(repr(float(seconds)))
