"""Messages between the engine and its owner: a JSON object, and bytes beside it, both with their length.

Two messages go by for each call and have no JSON object: to make a call that was described before, and that
a call went well. They are a few numbers instead.
"""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple

__all__ = ["Frame", "FrameReader", "pack", "pack_again", "pack_done", "unpack_again", "unpack_done"]

_LENGTHS = struct.Struct("!II")
_AGAIN = struct.Struct("!II")
_WHOLE_AGAIN = struct.Struct("!IIII")
_DONE = struct.Struct("!Id")


class Frame(NamedTuple):
    """One message: its JSON object, and the bytes that JSON would only make longer.

    The object is empty in the messages that have none.
    """

    head: dict[str, Any]
    body: bytes


def pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    """Return a message as it goes over the socket."""
    text = json.dumps(head, separators=(",", ":")).encode()
    return b"".join((_LENGTHS.pack(len(text), len(body)), text, body))


def pack_again(call: int, order: int) -> bytes:
    """Return the message that makes a call as it was described before, by the number of its order."""
    return _WHOLE_AGAIN.pack(0, _AGAIN.size, call, order)


def unpack_again(frame: Frame) -> tuple[int, int]:
    """Return the numbers of the call and the order."""
    call, order = _AGAIN.unpack(frame.body)
    return call, order


def pack_done(call: int, latency_s: float, outputs: bytes) -> bytes:
    """Return the message that a call went well, in how many seconds, and with which outputs."""
    return b"".join((_LENGTHS.pack(0, _DONE.size + len(outputs)), _DONE.pack(call, latency_s), outputs))


def unpack_done(frame: Frame) -> Frame:
    """Return the message as one with an object: `call` and `latency_s`; the outputs are its bytes."""
    call, latency_s = _DONE.unpack_from(frame.body)
    return Frame({"call": call, "latency_s": latency_s}, frame.body[_DONE.size :])


class FrameReader:
    """Puts messages together from the pieces in which a socket gives them."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def feed(self, piece: bytes) -> list[Frame]:
        """Take the next piece, and return the messages that are whole now, in order."""
        self._kept += piece
        kept, start, found = self._kept, 0, []
        while len(kept) - start >= _LENGTHS.size:
            head, body = _LENGTHS.unpack_from(kept, start)
            middle = start + _LENGTHS.size + head
            end = middle + body
            if len(kept) < end:
                break
            told = json.loads(kept[middle - head : middle]) if head else {}
            found.append(Frame(told, bytes(kept[middle:end])))
            start = end
        del kept[:start]
        return found
