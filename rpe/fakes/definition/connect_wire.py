"""The Connect protocol as bytes: codes, errors, messages, compression and envelopes.

After the "Connect Protocol Reference" of connectrpc.com. Nothing here knows of a connection.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
import zlib
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from rpe.fakes.definition.ending import CallEnded, Detail, Metadata, Outgoing

__all__ = [
    "COMPRESSED",
    "END_OF_STREAM",
    "ENVELOPE",
    "Codec",
    "binary",
    "check_encoding",
    "end_form",
    "envelope",
    "error_form",
    "http_status",
    "json_bytes",
    "metadata_text",
    "unzipped",
]

ENVELOPE = struct.Struct("!BI")
"""What is before each message of a stream: flags, and the length of the message in bytes."""

COMPRESSED = 0b01
END_OF_STREAM = 0b10
"""The flags of an envelope; all others are to be 0."""

_ENCODINGS = ("identity", "gzip")
_STATUS = {
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "UNAUTHENTICATED": 401,
}
"""By the names of gRPC's codes; those that are not here are 500."""


def http_status(code: str) -> int:
    """Return the HTTP status of a unary call that ends with this code of gRPC's."""
    return _STATUS.get(code, 500)


def error_form(ended: CallEnded) -> dict[str, Any]:
    """Return the end of a call as Connect writes errors: code, message, and details where there are any."""
    # American spelling, other than gRPC's.
    form: dict[str, Any] = {
        "code": "canceled" if ended.code == "CANCELLED" else ended.code.lower(),
        "message": ended.text,
    }
    if ended.parts:
        form["details"] = [_detail(part) for part in ended.parts]
    return form


def end_form(ended: CallEnded | None, metadata: Metadata) -> dict[str, Any]:
    """Return what the last envelope of a stream holds: an error or none, and the trailing metadata."""
    form: dict[str, Any] = {} if ended is None else {"error": error_form(ended)}
    trailing: dict[str, list[str]] = {}
    for key, value in metadata:
        trailing.setdefault(key, []).append(metadata_text(value))
    if trailing:
        form["metadata"] = trailing
    return form


def metadata_text(value: str | bytes) -> str:
    """Return a value of metadata as it goes into a header."""
    return value if isinstance(value, str) else _unpadded(value)


def json_bytes(form: Any) -> bytes:
    """Return the bytes of a JSON form, in one line."""
    return json.dumps(form, ensure_ascii=False, separators=(",", ":")).encode()


def binary(text: str, *, url_safe: bool = False) -> bytes:
    """Return what base64 stands for, padded or not. Raises CallEnded where it is none."""
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        return base64.b64decode(padded, b"-_" if url_safe else None, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CallEnded("INVALID_ARGUMENT", f"this is not base64: {error}") from error


def check_encoding(encoding: str) -> bool:
    """Return whether what is so encoded is compressed. Raises CallEnded for an encoding that is not known."""
    if encoding not in _ENCODINGS:
        known = ", ".join(_ENCODINGS)
        raise CallEnded("UNIMPLEMENTED", f"the encoding {encoding!r} is not supported; there are {known}")
    return encoding != "identity"


def unzipped(data: bytes, limit: int) -> bytes:
    """Unpack what was compressed with gzip. Raises CallEnded where it was not, or gives over `limit`."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        # One byte more than may be tells what is too large, and no bomb is ever unpacked whole.
        found = inflater.decompress(data, limit + 1)
    except zlib.error as error:
        raise CallEnded("INVALID_ARGUMENT", f"this was not compressed with gzip: {error}") from error
    if len(found) > limit:
        raise CallEnded("RESOURCE_EXHAUSTED", f"the message is larger than {limit} bytes")
    if not inflater.eof or inflater.unused_data:
        raise CallEnded("INVALID_ARGUMENT", "what was compressed with gzip does not end where it should")
    return found


def envelope(message: bytes, flags: int = 0) -> bytes:
    """Return a message of a stream, with its flags and its length before it."""
    return ENVELOPE.pack(flags, len(message)) + message


class Codec:
    """How the messages of a method are written: `proto` is the wire of protobuf, `json` its JSON form.

    What a request has beyond its contract is left out, as Connect's own servers do.
    """

    def __init__(self, name: str, request: type[Message], response: type[Message]) -> None:
        self.name = name
        self._request = request
        self._response = response

    def request(self, data: bytes) -> bytes:
        """Return the bytes of a request on the wire of protobuf. Raises CallEnded where it cannot be read."""
        if self.name == "proto":
            return data
        message = self._request()
        try:
            json_format.Parse(data, message, ignore_unknown_fields=True, descriptor_pool=_pool(message))
        except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
            name = message.DESCRIPTOR.full_name
            raise CallEnded("INVALID_ARGUMENT", f"the request is not the JSON of {name}: {error}") from error
        return message.SerializePartialToString()

    def answer(self, answer: Outgoing) -> bytes:
        """Return an answer as it goes out. Raises CallEnded where it has no JSON form."""
        if self.name == "proto":
            return answer if isinstance(answer, bytes) else answer.SerializeToString()
        try:
            message = self._response.FromString(answer) if isinstance(answer, bytes) else answer
            return json_bytes(json_format.MessageToDict(message, descriptor_pool=_pool(message)))
        except (json_format.Error, DecodeError, TypeError, ValueError) as error:
            raise CallEnded("INTERNAL", f"rpe fake: the answer has no JSON form: {error}") from error


def _pool(message: Message) -> Any:
    # The stubs name the class of Python's own engine, which the others only resemble.
    return message.DESCRIPTOR.file.pool


def _detail(part: Detail) -> dict[str, Any]:
    return {"type": part.type_url.rpartition("/")[2], "value": _unpadded(part.value)}


def _unpadded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii").rstrip("=")
