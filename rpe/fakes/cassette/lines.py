"""The lines of a cassette, one JSON object each: what is written, and what a strict reader takes."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

__all__ = [
    "VERSION",
    "AnswerLine",
    "CallLine",
    "EndLine",
    "EventLine",
    "HalfCloseLine",
    "HeadLine",
    "HeadersLine",
    "How",
    "Line",
    "Pair",
    "RequestLine",
    "Wire",
    "dumped",
    "message_fields",
]

VERSION = 1

Wire = Literal["grpc", "http"]

Pair = tuple[str, str]
"""A metadata key or header and its value; that of a `-bin` key is in base64, as on the wire."""

How = Literal[
    "status",
    "complete",
    "reset",
    "lost",
    "no_trailers",
    "http_status",
    "unreached",
    "deadline",
    "cancelled",
]
"""How a call ended: in good order (`status` of gRPC, `complete` of HTTP), or in which bad one."""

_LONGEST_TEXT = 500

_Number = Annotated[int, Field(ge=1)]
_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class HeadLine(_Line):
    """The first line: which format this is, of which wire, and what was scrubbed beyond the usual."""

    cassette: Literal[1]
    wire: Wire
    upstream: str
    scrub: tuple[str, ...] = ()


class _Event(_Line):
    call: _Number


class CallLine(_Event):
    """A call begins: `method` of gRPC is `/package.Service/Method`; HTTP has a `path` beside it.

    `began_s` counts from the start of the recorder; every other time from the start of the call.
    """

    event: Literal["call"] = "call"
    began_s: _Seconds
    method: str
    path: str = ""
    metadata: tuple[Pair, ...] = ()
    timeout_s: float | None = None


class _Timed(_Event):
    at_s: _Seconds


class _Message(_Timed):
    text: str | None = None
    b64: str | None = None

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        if self.text is None and self.b64 is None:
            raise ValueError("a message needs b64 or text")
        if self.b64 is not None:
            try:
                decoded = base64.b64decode(self.b64, validate=True)
            except binascii.Error as error:
                raise ValueError(f"b64 is not base64: {error}") from error
            if self.text is not None and self.text.encode() != decoded:
                raise ValueError("text and b64 differ: leave one of them out")
        return self

    @property
    def data(self) -> bytes:
        """The bytes of the message."""
        return (self.text or "").encode() if self.b64 is None else base64.b64decode(self.b64)


class RequestLine(_Message):
    """A message of the caller's, or a piece of its body."""

    event: Literal["request"] = "request"


class HalfCloseLine(_Timed):
    """The caller has sent everything."""

    event: Literal["half_close"] = "half_close"


class HeadersLine(_Timed):
    """The headers of the answer, or its initial metadata; HTTP has a status here."""

    event: Literal["headers"] = "headers"
    status: Annotated[int, Field(ge=100, le=999)] | None = None
    reason: str = ""
    metadata: tuple[Pair, ...] = ()


class AnswerLine(_Message):
    """A message of the answer, an event of an event stream, or a piece of a body."""

    event: Literal["answer"] = "answer"


class EndLine(_Timed):
    """How the call ended. `code` is the name of a gRPC status, `number` a code of RST_STREAM or of HTTP."""

    event: Literal["end"] = "end"
    how: How
    code: str = ""
    number: int | None = None
    details: str = ""
    metadata: tuple[Pair, ...] = ()


EventLine = RequestLine | HalfCloseLine | HeadersLine | AnswerLine | EndLine

Line: TypeAdapter[CallLine | EventLine] = TypeAdapter(
    Annotated[CallLine | EventLine, Field(discriminator="event")]
)
"""Reads any line but the head."""


def message_fields(data: bytes) -> dict[str, Any]:
    """Return bytes as a line holds them: in base64, and readable where they are a short text."""
    fields: dict[str, Any] = {"b64": base64.b64encode(data).decode()}
    if len(data) <= _LONGEST_TEXT:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return fields
        if all(sign.isprintable() or sign in "\r\n\t" for sign in text):
            fields["text"] = text
    return fields


def dumped(line: BaseModel) -> str:
    """Return a line as it stands in the file, with its end. What says nothing is left out."""
    told = line.model_dump(exclude_none=True)
    told_first: Sequence[str] = ("call", "event")
    fields = {name: told.pop(name) for name in told_first if name in told}
    for name, field in type(line).model_fields.items():
        if name in told and told[name] != field.default:
            fields[name] = told[name]
    return json.dumps(fields, ensure_ascii=False) + "\n"
