"""Server-sent events as a check reads them: line by line, and strictly (WHATWG HTML, 9.2.5 and 9.2.6)."""

from __future__ import annotations

from typing import NamedTuple

from rpe.testing.fidelity.http.client import HttpResponse
from rpe.testing.fidelity.model import Violation

__all__ = ["EventReader", "SentEvent"]

_FIELDS = ("data", "event", "id", "retry")


class SentEvent(NamedTuple):
    """One event: its type, `message` where it was not told, and its data."""

    kind: str
    data: str


class EventReader:
    """Reads the body of an answer as events; `comments` counts the comments that came."""

    def __init__(self, response: HttpResponse) -> None:
        self.comments = 0
        self._response = response
        self._buffer = b""
        self._over = False
        self._kind = ""
        self._data: list[str] = []

    async def next(self) -> SentEvent | None:
        """Return the next event, None at the end. Raises Violation for what is no event stream."""
        while (line := await self._line()) is not None:
            if line:
                self._field(line)
            elif self._data:
                event = SentEvent(self._kind or "message", "\n".join(self._data))
                self._kind, self._data = "", []
                return event
            else:
                self._kind = ""
        if self._data:
            raise Violation(f"the events end inside of one, with no blank line behind {self._data[0][:60]!r}")
        return None

    async def comment(self) -> None:
        """Wait for the next comment. Raises Violation where an event or the end comes before."""
        seen = self.comments
        while self.comments == seen:
            line = await self._line()
            if line is None:
                raise Violation("the events ended where a comment was due")
            if line:
                self._field(line)
            if self._data:
                raise Violation(f"{line[:60]!r} came where a comment was due")

    def _field(self, line: bytes) -> None:
        if line.startswith(b":"):
            self.comments += 1
            return
        try:
            name, _, value = line.decode().partition(":")
        except UnicodeDecodeError as error:
            raise Violation(f"a line is not UTF-8: {line[:60]!r}") from error
        if name not in _FIELDS:
            raise Violation(f"a line is no field of an event: {line[:60]!r}")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._kind = value

    async def _line(self) -> bytes | None:
        """Return the next line without its end, which is LF, CR LF or CR; None behind the last one."""
        while True:
            ends = [place for place in (self._buffer.find(b"\n"), self._buffer.find(b"\r")) if place >= 0]
            place = min(ends, default=-1)
            # A CR that came last may be half of a CR LF.
            if place >= 0 and (self._over or self._buffer[place:] != b"\r"):
                width = 2 if self._buffer[place : place + 2] == b"\r\n" else 1
                line, self._buffer = self._buffer[:place], self._buffer[place + width :]
                return line
            if self._over:
                if self._buffer:
                    raise Violation(f"the events end inside of a line: {self._buffer[:60]!r}")
                return None
            piece = await self._response.piece()
            self._over = not piece
            self._buffer += piece
