"""The script of a raw server: which calls and connections are broken, and how.

Each fault is a small model with a `kind`; units stand in the names, and unknown keys are
refused. Faults of calls and of connections count separately, each for itself.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from rpe.errors import ConfigurationError
from rpe.fakes.behaviour import Count, Positive, RetryAfter, Seconds
from rpe.fakes.mouth.script_base import CallFault as BaseFault
from rpe.fakes.mouth.script_base import Fault, H2Code, lower
from rpe.fakes.mouth.script_wrong import (
    EnumOutOfRange,
    MissingField,
    SwappedTypes,
    UnknownFields,
    WrongOneof,
)
from rpe.transport.serving import StatusCode

__all__ = [
    "CallFault",
    "Compressed",
    "ConnectionFault",
    "ContentType",
    "CutFrame",
    "CutVarint",
    "Detail",
    "EnumOutOfRange",
    "GoAway",
    "Hang",
    "HttpStatus",
    "LastStream",
    "LengthPrefix",
    "MaxStreams",
    "MissingField",
    "NoSettings",
    "NoSettingsAck",
    "NoTrailers",
    "Oversized",
    "PingStorm",
    "Reset",
    "ShutWindow",
    "Status",
    "StopReading",
    "SwappedTypes",
    "Then",
    "UnknownFields",
    "WireScript",
    "WrongOneof",
    "parse_wire_script",
]


class Detail(BaseModel):
    """One `google.protobuf.Any` of a status: the name of its type, and the message as hexadecimal digits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type_url: str
    value: Annotated[str, Field(pattern=r"^([0-9a-fA-F]{2})*$")] = ""


class Status(BaseFault):
    """The call ends with a status; it comes without headers of its own where nothing was sent before."""

    kind: Literal["status"] = "status"
    status: Annotated[StatusCode | int, BeforeValidator(lower)] = StatusCode.UNAVAILABLE
    """By name; or by number, which may be one that gRPC does not have."""
    message: str = "scripted status"
    details: tuple[Detail, ...] | None = None
    """Sent as `grpc-status-details-bin`, in a google.rpc.Status with the same code and message."""
    retry_after_s: RetryAfter | None = None
    """Sent as `grpc-retry-pushback-ms`."""


class NoTrailers(BaseFault):
    """The stream ends without a grpc-status: END_STREAM comes on a DATA frame."""

    kind: Literal["no_trailers"] = "no_trailers"
    after_messages: Count | None = None


class Reset(BaseFault):
    """RST_STREAM, once so many messages (each a DATA frame, where it fits into one) have gone out."""

    kind: Literal["reset"] = "reset"
    code: H2Code = 2
    """INTERNAL_ERROR by default; 7 is REFUSED_STREAM, 8 CANCEL, 11 ENHANCE_YOUR_CALM."""
    headers: bool = True
    """Whether the headers of the answer go out before."""


class LastStream(enum.StrEnum):
    """Which calls a GOAWAY says were taken: none at all, those before this one, this one too, or any."""

    NONE = "none"
    BEFORE = "before"
    THIS = "this"
    ANY = "any"


class Then(enum.StrEnum):
    """What follows a GOAWAY: the call is answered, the connection is closed, or nothing ever comes."""

    ANSWER = "answer"
    CLOSE = "close"
    SILENCE = "silence"


class GoAway(BaseFault):
    """GOAWAY on the connection of the call. Later calls on that connection are served all the same."""

    kind: Literal["goaway"] = "goaway"
    code: H2Code = 0
    last: LastStream = LastStream.THIS
    then: Then = Then.CLOSE
    debug: str = ""
    """The text that the frame carries."""


class Hang(BaseFault):
    """Nothing more ever comes for the call; the connection lives, and answers PING."""

    kind: Literal["hang"] = "hang"


class HttpStatus(BaseFault):
    """A plain HTTP answer, as a gateway gives it."""

    kind: Literal["http_status"] = "http_status"
    after_messages: Literal[0] = 0
    code: Annotated[int, Field(strict=True, ge=200, le=599)] = 503
    body: str = "upstream connect error"


class CutFrame(BaseFault):
    """The connection ends in the middle of a DATA frame: closed, or reset."""

    ends: ClassVar[bool] = False

    kind: Literal["cut_frame"] = "cut_frame"
    after_messages: Count = 0
    reset: bool = False


class LengthPrefix(BaseFault):
    """A message announces another length than it has: more for a positive number, fewer for a negative."""

    ends: ClassVar[bool] = False

    kind: Literal["length_prefix"] = "length_prefix"
    after_messages: Count = 0
    off_by: Annotated[int, Field(strict=True, ge=-(2**31), le=2**31)] = 7


class Compressed(BaseFault):
    """A message says that it is compressed; no encoding was named, or one that it is not in."""

    ends: ClassVar[bool] = False

    kind: Literal["compressed"] = "compressed"
    after_messages: Count = 0
    encoding: str | None = None


class CutVarint(BaseFault):
    """A message is framed well, and ends in the middle of a number inside the protobuf."""

    ends: ClassVar[bool] = False

    kind: Literal["cut_varint"] = "cut_varint"
    after_messages: Count = 0


class Oversized(BaseFault):
    """A message is filled up to so many bytes with a field that no receiver knows."""

    ends: ClassVar[bool] = False

    kind: Literal["oversized"] = "oversized"
    after_messages: Count = 0
    size_bytes: Annotated[int, Field(strict=True, ge=1, le=2**30)] = 32 * 1024 * 1024


class ContentType(BaseFault):
    """The answer is one of gRPC in all but its content type; None leaves that header out."""

    ends: ClassVar[bool] = False

    kind: Literal["content_type"] = "content_type"
    after_messages: Literal[0] = 0
    value: str | None = "text/html"


class PingStorm(BaseFault):
    """So many PING frames at once; the answer goes on when each was acknowledged."""

    ends: ClassVar[bool] = False

    kind: Literal["ping_storm"] = "ping_storm"
    after_messages: Count = 0
    count: Positive = 1000


class StopReading(BaseFault):
    """The server reads no further in the request: it gives the caller no more window for this call.

    Other calls of the connection go on. What the caller may still send is taken, and kept from
    the answer until the server reads on. The journal says, as faults of their own: `stop_reading`;
    `stalled`, when the window was used up; `resumed`; and `caught_up`, a tenth of a second later,
    with what has come meanwhile.
    """

    ends: ClassVar[bool] = False

    kind: Literal["stop_reading"] = "stop_reading"
    after_messages: Count = 0
    """So many messages of the request are read first."""
    window_bytes: Annotated[int, Field(strict=True, ge=1, le=65_535)] | None = None
    """What the caller may send from then on; by default what is left of the 65 535 of HTTP/2.

    It holds on connections that are made after the script was set: such a window has to be
    agreed on from the first frame on.
    """
    for_s: Seconds | None = None
    """How long, from the moment that the server stops; None for ever."""


class NoSettings(Fault):
    """The connection is taken, and nothing is ever sent on it."""

    kind: Literal["no_settings"] = "no_settings"


class NoSettingsAck(Fault):
    """The settings of the caller are never acknowledged; all else is as it should be."""

    kind: Literal["no_settings_ack"] = "no_settings_ack"


class ShutWindow(Fault):
    """Callers may send so many bytes in each call; the window is never opened again."""

    kind: Literal["shut_window"] = "shut_window"
    window_bytes: Annotated[int, Field(strict=True, ge=0, le=65_535)] = 0


class MaxStreams(Fault):
    """Callers may have so many calls open at once on the connection."""

    kind: Literal["max_streams"] = "max_streams"
    streams: Count = 1


CallFault = (
    Status | NoTrailers | Reset | GoAway | Hang | HttpStatus
    | CutFrame | LengthPrefix | Compressed | CutVarint | Oversized | ContentType | PingStorm
    | WrongOneof | EnumOutOfRange | SwappedTypes | MissingField | UnknownFields | StopReading
)  # fmt: skip
ConnectionFault = NoSettings | NoSettingsAck | ShutWindow | MaxStreams


class WireScript(BaseModel):
    """What a raw server breaks; without faults it is an honest one.

    Of the faults of calls, the first in the list that fires for a call is the one that
    happens to it; of those of connections, all that fire. Each fault draws from a source of
    its own, so that adding one does not change what the others do.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    calls: tuple[Annotated[CallFault, Field(discriminator="kind")], ...] = ()
    connections: tuple[Annotated[ConnectionFault, Field(discriminator="kind")], ...] = ()


def parse_wire_script(script: Mapping[str, Any]) -> WireScript:
    """Read a script from plain data. Raises ConfigurationError that names each wrong key."""
    try:
        return WireScript.model_validate(dict(script))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in told['loc'])}: {told['msg']}"
            for told in error.errors(include_url=False)
        )
        raise ConfigurationError(
            f"a wire script cannot be read: {problems}", hint="its parts: calls, connections"
        ) from error
