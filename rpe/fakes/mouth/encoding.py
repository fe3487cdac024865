"""The bytes of gRPC over HTTP/2: prefixed messages, and the headers around them."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from rpe.fakes.mouth.script import Detail
from rpe.transport.serving import StatusCode

__all__ = [
    "STATUS_NUMBERS",
    "Headers",
    "MessageReader",
    "field_bytes",
    "padded",
    "prefixed",
    "pushback",
    "status_details",
    "status_message",
    "timeout_s",
    "varint",
]

Headers = list[tuple[str, str]]

_ALREADY_EXISTS = 6

STATUS_NUMBERS: Mapping[StatusCode, int] = dict(
    zip(StatusCode, (number for number in range(1, 17) if number != _ALREADY_EXISTS), strict=True)
)
"""The number of each status on the wire: they stand in order, and 6 is the one that nothing here uses."""

_UNITS_S = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_UNKNOWN_FIELD = 2047


class MessageReader:
    """Takes the bytes of a stream in any pieces, and gives back its messages.

    Raises ValueError for a message that says it is compressed: no encoding is offered here.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    @property
    def held_bytes(self) -> int:
        """How many bytes wait for more, or for `feed` to go on."""
        return len(self._held)

    def hold(self, data: bytes) -> None:
        """Add bytes, for `feed` to look at later."""
        self._held += data

    def feed(self, data: bytes = b"") -> Iterator[bytes]:
        """Add bytes; yield each message that they complete. Who stops in between may go on later."""
        self._held += data
        while len(self._held) >= 5:
            if self._held[0]:
                raise ValueError("the message is compressed")
            end = 5 + int.from_bytes(self._held[1:5])
            if len(self._held) < end:
                return
            message = bytes(self._held[5:end])
            del self._held[:end]
            yield message


def prefixed(message: bytes, *, announced_bytes: int | None = None, compressed: bool = False) -> bytes:
    """Return a message behind its prefix: a flag and a length of four bytes, which may be another."""
    length = len(message) if announced_bytes is None else announced_bytes
    return bytes([compressed]) + max(0, min(length, 2**32 - 1)).to_bytes(4) + message


def timeout_s(value: str) -> float | None:
    """Read a `grpc-timeout` header; None where it is not one."""
    number, unit = value[:-1], value[-1:]
    if unit in _UNITS_S and number.isascii() and number.isdecimal():
        return int(number) * _UNITS_S[unit]
    return None


def pushback(retry_after_s: float | None) -> Headers:
    """Return the trailer in which a server says when to try again (gRFC A6), where it says so."""
    if retry_after_s is None:
        return []
    return [("grpc-retry-pushback-ms", str(math.ceil(retry_after_s * 1000)) if retry_after_s >= 0 else "-1")]


def status_message(text: str) -> str:
    """Return a text as a `grpc-message` header carries it: percent-encoded UTF-8."""
    return quote(text, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")


def status_details(code: int, message: str, details: Sequence[Detail]) -> str:
    """Return a google.rpc.Status as `grpc-status-details-bin` carries it: base64 without its padding.

    Its fields are a code, a message, and any number of `Any`, each a type and bytes.
    """
    packed = b"".join(
        field_bytes(3, field_bytes(1, detail.type_url.encode()) + field_bytes(2, bytes.fromhex(detail.value)))
        for detail in details
    )
    whole = b"\x08" + varint(code) + field_bytes(2, message.encode()) + packed
    return base64.b64encode(whole).decode().rstrip("=")


def padded(message: bytes, size_bytes: int) -> bytes:
    """Fill a protobuf message up to at least a size, with a field that no receiver knows."""
    missing = size_bytes - len(message)
    return message if missing <= 0 else message + field_bytes(_UNKNOWN_FIELD, bytes(missing))


def field_bytes(number: int, content: bytes) -> bytes:
    """Return a field of a message whose content is bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """Return a number as protobuf writes it: seven bits in a byte, the lowest first."""
    value &= 2**64 - 1  # a negative number is sent as its complement in 64 bits
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
