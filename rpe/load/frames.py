"""Messages between the engine and its owner: a JSON object, and bytes beside it, both with their length."""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple

__all__ = ["Frame", "FrameReader", "pack"]

_LENGTHS = struct.Struct("!II")


class Frame(NamedTuple):
    """One message: its JSON object, and the bytes that JSON would only make longer."""

    head: dict[str, Any]
    body: bytes


def pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    """Return a message as it goes over the socket."""
    text = json.dumps(head, separators=(",", ":")).encode()
    return b"".join((_LENGTHS.pack(len(text), len(body)), text, body))


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
            found.append(Frame(json.loads(kept[middle - head : middle]), bytes(kept[middle:end])))
            start = end
        del kept[:start]
        return found
