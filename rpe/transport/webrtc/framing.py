"""The framing of calls on a data channel: frames in and out of channel messages, with no I/O.

One channel message holds one or more frames, end to end. A frame is a header of 14 bytes
in network order, eight more where it is a fragment, and its payload:

    version and type (4 bits each) | flags (u8) | call (u32) | number (u32) | length (u32)
    offset (u32) | total (u32)                      with the flag FRAGMENT
    payload (length bytes)

`docs/webrtc.md` tells what the types mean and in which order they come.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

__all__ = [
    "FRAGMENT",
    "LARGEST_CHANNEL_MESSAGE",
    "LAST",
    "LAST_CALL",
    "NOT_SERVING",
    "SERVING",
    "SMALLEST_CHANNEL_MESSAGE",
    "VERSION",
    "Frame",
    "FrameType",
    "FramingError",
    "Joiner",
    "MessageTooLarge",
    "NotRead",
    "decode",
    "encode",
    "split",
]

VERSION: Final = 1

FRAGMENT: Final = 0x01
"""The payload is a part of a message: `offset` and `total` follow the header."""

SERVING: Final = 0x02
"""In a PONG: the handler serves."""

NOT_SERVING: Final = 0x04
"""In a PONG: the handler does not serve."""

LAST: Final = 0x10
"""In a MESSAGE, or the last fragment of one: no other follows it, as if END came next."""

LAST_CALL: Final = 0xFFFF_FFFF
"""The highest number that a call can have."""

LARGEST_CHANNEL_MESSAGE: Final = 64 * 1024
"""How large one channel message is at most: what every implementation takes (RFC 8841, section 6.1)."""

SMALLEST_CHANNEL_MESSAGE: Final = 1024
"""An end that takes less than this cannot be spoken to."""

_HEADER = struct.Struct("!BBIII")
_PART = struct.Struct("!II")
_OVERHEAD = _HEADER.size + _PART.size


class FrameType(enum.IntEnum):
    """What a frame is for."""

    OPEN = 1
    MESSAGE = 2
    END = 3
    RESET = 4
    PING = 5
    PONG = 6


_TYPES = {VERSION << 4 | kind: kind for kind in FrameType}
_FIRST_BYTE = {kind: byte for byte, kind in _TYPES.items()}


class Frame(NamedTuple):
    """One frame. `offset` and `total` are 0 and the payload's length where it is no fragment."""

    kind: FrameType
    flags: int
    call: int
    number: int
    payload: bytes
    offset: int
    total: int


class FramingError(Exception):
    """What came does not follow the framing."""


class MessageTooLarge(FramingError):
    """A message announces more bytes than are taken."""


class NotRead(FramingError):
    """More bytes came than this end keeps for somebody who does not read them."""


def encode(kind: FrameType, call: int, number: int = 0, payload: bytes = b"", flags: int = 0) -> bytes:
    """Return the bytes of one whole frame."""
    return _HEADER.pack(_FIRST_BYTE[kind], flags, call, number, len(payload)) + payload


def decode(message: bytes) -> list[Frame]:
    """Return the frames of one channel message.

    Raises FramingError where the message is empty, ends in the middle of a frame, or holds
    a version or a type that is not known, or a fragment that does not lie within its message.
    """
    frames: list[Frame] = []
    at, end = 0, len(message)
    while at < end or not frames:
        if end - at < _HEADER.size:
            raise FramingError("a channel message ends inside a frame's header")
        first, flags, call, number, length = _HEADER.unpack_from(message, at)
        kind = _TYPES.get(first)
        if kind is None:
            raise FramingError(f"a frame of version {first >> 4} and type {first & 15} is not known")
        at += _HEADER.size
        offset, total = 0, length
        if flags & FRAGMENT:
            if end - at < _PART.size:
                raise FramingError("a channel message ends inside a fragment's header")
            offset, total = _PART.unpack_from(message, at)
            at += _PART.size
            if kind is not FrameType.MESSAGE or not length or offset + length > total:
                raise FramingError(f"a fragment of {length} bytes at {offset} of {total} is none")
        if length > end - at:
            raise FramingError(f"a frame of {length} bytes has {end - at} of them")
        frames.append(Frame(kind, flags, call, number, message[at : at + length], offset, total))
        at += length
    return frames


def split(
    call: int,
    number: int,
    payload: bytes,
    *,
    limit: int,
    head: bytes = b"",
    last: bool = False,
) -> Iterator[bytes]:
    """Yield the channel messages that carry one message: one where it fits, or else its fragments in order.

    `head` is a whole frame that goes out in the same channel message where there is room, and
    in one of its own where there is not; it fits into `limit` bytes, and so does every channel
    message. `limit` is at least SMALLEST_CHANNEL_MESSAGE. `last` marks the message as the last
    one of its direction.
    """
    flags = LAST if last else 0
    if len(head) + _HEADER.size + len(payload) <= limit:
        yield head + encode(FrameType.MESSAGE, call, number, payload, flags)
        return
    if len(head) + _OVERHEAD >= limit or not payload:
        yield head
        head = b""
    if not payload:
        yield encode(FrameType.MESSAGE, call, number, payload, flags)
    at, total = 0, len(payload)
    first = _FIRST_BYTE[FrameType.MESSAGE]
    while at < total:
        part = payload[at : at + limit - _OVERHEAD - len(head)]
        at += len(part)
        marks = FRAGMENT | (flags if at == total else 0)
        header = _HEADER.pack(first, marks, call, number, len(part))
        yield b"".join((head, header, _PART.pack(at - len(part), total), part))
        head = b""


class Joiner:
    """Puts the messages of one direction of a call together again, on a channel that keeps order.

    Messages are numbered from 0 without a gap, and the fragments of one come in order and
    one after the other. Whatever else comes is a FramingError, and so is a message of more
    than `max_message_bytes` (MessageTooLarge), as soon as its first fragment announces it.
    With `gaps` numbers may be left out, since other messages go another way.
    After an error the joiner is not to be used again.
    """

    __slots__ = ("_gaps", "_max_bytes", "_parts", "_total", "held_bytes", "number")

    def __init__(self, max_message_bytes: int, *, gaps: bool = False) -> None:
        self.number = 0
        """The number of the message that comes next, or is being put together."""
        self.held_bytes = 0
        """How many bytes of an unfinished message are kept here."""
        self._gaps = gaps
        self._max_bytes = max_message_bytes
        self._parts: list[bytes] = []
        self._total = 0

    def add(self, frame: Frame) -> bytes | None:
        """Take a MESSAGE frame, and return the message that it completes, if it does."""
        if frame.number != self.number:
            if not self._gaps or self._parts or frame.number < self.number:
                raise FramingError(f"message {frame.number} came where {self.number} was due")
            self.number = frame.number
        if frame.total > self._max_bytes:
            raise MessageTooLarge(
                f"a message of {frame.total} bytes, but at most {self._max_bytes} are taken"
            )
        if not frame.flags & FRAGMENT:
            if self._parts:
                raise FramingError(f"message {frame.number} came again before its last fragment")
            self.number += 1
            return frame.payload
        if frame.offset != self.held_bytes or (self._parts and frame.total != self._total):
            raise FramingError(
                f"a fragment at {frame.offset} of {frame.total} came where one at {self.held_bytes} of"
                f" {self._total if self._parts else frame.total} was due"
            )
        self._parts.append(frame.payload)
        self._total = frame.total
        self.held_bytes += len(frame.payload)
        if self.held_bytes < self._total:
            return None
        message = b"".join(self._parts)
        self._parts.clear()
        self.held_bytes = 0
        self.number += 1
        return message

    def end(self, count: int) -> None:
        """Take an END that says how many messages were sent. Raises FramingError where some are missing."""
        if self._parts or count != self.number:
            raise FramingError(f"the end came after {self.number} of {count} messages")
