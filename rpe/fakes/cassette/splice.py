"""One fault that is put into a recording as it is replayed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, get_args

from rpe.errors import ConfigurationError
from rpe.fakes.cassette.codes import STATUS_NUMBERS
from rpe.fakes.cassette.lines import Wire

__all__ = ["Splice", "SpliceKind", "parse_splice"]

SpliceKind = Literal["drop", "duplicate", "delay", "corrupt", "status", "cut", "hang"]

_TO_A_MESSAGE = frozenset({"drop", "duplicate", "delay", "corrupt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Splice:
    """One fault, and where it strikes.

    Arguments:
        kind: `drop`, `duplicate`, `delay` and `corrupt` (one bit is turned over) are done to a message
            of the answer; `status` (the call ends with one), `cut` (the connection is closed) and `hang`
            (silence, until the caller goes) stand in its place, and nothing of the recording follows.
        method: only calls of this method; of its end, so that `Stream` is `/package.Service/Stream`. Of
            HTTP it is the path, without its query.
        call: only the n-th of those, counted from 1; each of them where it is not given.
        at_message: the n-th message of the answer, counted from 1. 0 stands for the headers, and one
            more than there are for the end. By default 1 for what is done to a message, else 0.
        at_s: in its place: the first message at or after this time of the recorded call, in seconds.
        delay_s: of `delay`: by how much more the message, and all behind it, come later.
        code, details: of `status`: the name of a gRPC status, or the number of HTTP's; UNAVAILABLE or 503
            by default.
        rate: how many of those calls, from 0 to 1, drawn for each from `seed`.
        seed: the source of all chance.

    Raises ConfigurationError where this makes no sense.
    """

    kind: SpliceKind
    method: str | None = None
    call: int | None = None
    at_message: int | None = None
    at_s: float | None = None
    delay_s: float = 1.0
    code: str = ""
    details: str = "spliced in by rpe fake replay"
    rate: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise ConfigurationError(f"the fault to splice in: {problem}")

    def _problem(self) -> str:
        if self.kind not in get_args(SpliceKind):
            return f"{self.kind!r} is no kind; there are {', '.join(get_args(SpliceKind))}"
        if self.at_message is not None and self.at_s is not None:
            return "at_message and at_s are both given"
        if self.call is not None and self.call < 1:
            return "call counts from 1"
        if self.at_message is not None and self.at_message < (1 if self.is_to_message else 0):
            return "at_message counts from 1" + ("" if self.is_to_message else ", and 0 is the headers")
        if self.at_s is not None and not self.at_s >= 0:
            return "at_s counts from 0"
        if not 0 <= self.rate <= 1:
            return "rate is between 0 and 1"
        if not self.delay_s >= 0:
            return "delay_s is not negative"
        if self.code and self.kind != "status":
            return "only a status has a code"
        return ""

    @property
    def is_to_message(self) -> bool:
        """Whether it is done to a message, and does not stand in the place of one."""
        return self.kind in _TO_A_MESSAGE

    @property
    def place(self) -> int:
        """The message that it strikes, where no time is given."""
        return int(self.is_to_message) if self.at_message is None else self.at_message

    def check(self, wire: Wire) -> None:
        """Raise ConfigurationError where a wire cannot carry this."""
        if self.kind != "status":
            return
        if wire == "grpc" and self.code and self.code not in STATUS_NUMBERS:
            raise ConfigurationError(f"the fault to splice in: {self.code} is no status of gRPC")
        if wire == "http":
            if self.code and not (self.code.isdecimal() and 200 <= int(self.code) <= 599):
                raise ConfigurationError(f"the fault to splice in: {self.code} is no status of HTTP")
            if self.at_message or self.at_s is not None:
                raise ConfigurationError(
                    "the fault to splice in: a status of HTTP cannot come behind the headers",
                    hint="leave at_message and at_s out, or cut the answer there",
                )


def parse_splice(text: str) -> Splice:
    """Read `kind,key=value,...`, such as `cut,method=Stream,at_message=3`. Raises ConfigurationError."""
    kind, *parts = [part.strip() for part in text.split(",")]
    fields = {field.name: field for field in dataclasses.fields(Splice) if field.name != "kind"}
    given: dict[str, Any] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals or key not in fields:
            raise ConfigurationError(
                f"the fault to splice in: {part!r} is not understood",
                hint=f"it is kind,key=value,...; the keys are {', '.join(fields)}",
            )
        if key in given:
            raise ConfigurationError(f"the fault to splice in: {key} is given twice")
        try:
            given[key] = _READ[key](value)
        except ValueError:
            raise ConfigurationError(f"the fault to splice in: {key} is not a number: {value!r}") from None
    return Splice(kind=kind, **given)  # type: ignore[arg-type]  # it says itself what is no kind


_READ: dict[str, Any] = {
    "method": str,
    "call": int,
    "at_message": int,
    "at_s": float,
    "delay_s": float,
    "code": str.upper,
    "details": str,
    "rate": float,
    "seed": int,
}
