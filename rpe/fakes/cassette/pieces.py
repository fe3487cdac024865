"""Cutting the body of an answer or a request into what a cassette keeps of it."""

from __future__ import annotations

import re
from collections.abc import Callable

from rpe.fakes.cassette.scrubbing import UNSCRUBBABLE, Known, Scrubber

__all__ = ["BodyPieces", "media_type", "pieces_of"]

_BOUNDARY = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
"""The empty line behind an event, with any of the three ends of a line (WHATWG HTML, 9.2.5)."""


class BodyPieces:
    """Gives back a body in the pieces that are kept, each scrubbed."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; return what is complete."""
        raise NotImplementedError

    def rest(self, *, broken: bool) -> list[bytes]:
        """Return what is left at the end of the body, which may have been broken off."""
        raise NotImplementedError


class _AsTheyCome(BodyPieces):
    def __init__(self, known: Known) -> None:
        self._known = known

    def feed(self, data: bytes) -> list[bytes]:
        return [self._known.mask(data)]

    def rest(self, *, broken: bool) -> list[bytes]:
        return []


class _Events(BodyPieces):
    """Each server-sent event, or comment, by itself."""

    def __init__(self, scrubber: Scrubber, known: Known) -> None:
        self._scrubber = scrubber
        self._known = known
        self._held = b""

    def feed(self, data: bytes) -> list[bytes]:
        self._held += data
        found, at = [], 0
        for boundary in _BOUNDARY.finditer(self._held):
            found.append(self._scrubber.server_event(self._held[at : boundary.end()], self._known))
            at = boundary.end()
        self._held = self._held[at:]
        return found

    def rest(self, *, broken: bool) -> list[bytes]:
        left, self._held = self._held, b""
        if not left:
            return []
        if broken and self._scrubber.reads_bodies:
            # Half an event is no JSON, so its fields cannot be found.
            return [UNSCRUBBABLE]
        return [self._scrubber.server_event(left, self._known)]


class _Whole(BodyPieces):
    """The body as one piece: its fields can be found only when it is complete."""

    def __init__(self, scrub: Callable[[bytes, Known], bytes], known: Known) -> None:
        self._scrub = scrub
        self._known = known
        self._held: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        self._held.append(data)
        return []

    def rest(self, *, broken: bool) -> list[bytes]:
        whole = b"".join(self._held)
        if not whole:
            return []
        return [UNSCRUBBABLE if broken else self._scrub(whole, self._known)]


def _not_kept(data: bytes, known: Known) -> bytes:
    return UNSCRUBBABLE


def media_type(value: str) -> str:
    """Return the media type in a Content-Type header, without its parameters."""
    return value.partition(";")[0].strip().lower()


def pieces_of(content_type: str, encoding: str, scrubber: Scrubber, known: Known) -> BodyPieces:
    """Choose how a body is kept, by its Content-Type and Content-Encoding."""
    kind = media_type(content_type)
    if scrubber.reads_bodies and encoding.lower() not in ("", "identity"):
        return _Whole(_not_kept, known)
    if kind == "text/event-stream":
        return _Events(scrubber, known)
    if kind == "application/x-www-form-urlencoded":
        return _Whole(scrubber.form, known)
    if scrubber.reads_bodies and (kind.endswith(("json", "jsonl")) or kind == ""):
        return _Whole(scrubber.body, known)
    return _AsTheyCome(known)
