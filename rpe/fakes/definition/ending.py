"""How a call ends that does not end well: the status, with its details and its trailing metadata."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from google.protobuf.message import Message

from rpe.fakes.definition.model import STATUS_NAMES

__all__ = ["Begin", "CallEnded", "Detail", "Metadata", "Outgoing", "Send", "Take", "status_bytes"]

LONGEST_TEXT = 2_000
"""Of the text of a status: it travels in a header, and those are bounded."""

Metadata = tuple[tuple[str, str | bytes], ...]
"""Keys in lower case, and their values: bytes where the key ends with -bin."""

Outgoing = Message | bytes
"""What is sent: a message, or the bytes of one that is always the same."""
Send = Callable[[Outgoing], Awaitable[None]]
Take = Callable[[], Awaitable[bytes | None]]
"""Takes the bytes of the next request; None where the caller has ended its stream."""
Begin = Callable[[Metadata], Awaitable[None]]
"""Sends the metadata that goes before the first answer."""


@dataclass(frozen=True, slots=True)
class Detail:
    """One detail of a status: the URL of its type, and the bytes of the message (google.protobuf.Any)."""

    type_url: str
    value: bytes


class CallEnded(Exception):
    """A call ends with a status that is not OK.

    code: the name of gRPC's code. text: what is said about it, cut to 2000 characters.
    parts: the details one by one. metadata: what trails the status.
    """

    def __init__(
        self, code: str, text: str = "", parts: tuple[Detail, ...] = (), metadata: Metadata = ()
    ) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text[:LONGEST_TEXT]
        self.parts = parts
        self.metadata = metadata

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"

    @property
    def details(self) -> bytes | None:
        """The bytes of the google.rpc.Status that holds the details; None where there are none."""
        return status_bytes(self.code, self.text, self.parts) if self.parts else None


def status_bytes(code: str, text: str, parts: tuple[Detail, ...]) -> bytes:
    """Return a google.rpc.Status: a code, a message, and any number of google.protobuf.Any."""
    packed = b"".join(_field(3, _field(1, part.type_url.encode()) + _field(2, part.value)) for part in parts)
    return b"\x08" + _varint(1 + STATUS_NAMES.index(code)) + _field(2, text.encode()) + packed


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
