"""Server-sent events, as bytes and as records; nothing here reads or writes a connection.

After the WHATWG HTML standard, "Server-sent events", sections 9.2.5 and 9.2.6 ("Parsing
an event stream", "Interpreting an event stream"), with three decisions of our own. Text
that is not UTF-8 is an error, where a browser would put replacement characters into it:
data that was damaged must not pass as data. An event has a largest size. And `Event.id`
is the id that this very event was given, since that is what tells a repeated event; the
standard's, which later events inherit, is `EventParser.last_event_id`.
"""

from __future__ import annotations

from typing import NamedTuple

from rpe.errors import DataValidationError, ProtocolViolation

__all__ = ["COMMENT", "Event", "EventParser", "format_event"]

COMMENT = b":\n\n"
"""An empty comment: nothing to any parser, and a sign of life."""

_BOM = b"\xef\xbb\xbf"
_LONGEST_NUMBER = 12
"""As many digits as a reconnection time may have: some thirty years, in milliseconds."""


class Event(NamedTuple):
    """One event: its type, its data, and the id it was given, "" for none."""

    event: str
    data: str
    id: str


_new = tuple.__new__  # half the cost of Event(...), which is a function of Python


class EventParser:
    """Takes the bytes of one stream in pieces of any size, and gives its events as they are complete.

    Arguments:
        max_event_bytes: the most that the lines of one event, and any one line, may have.
        endpoint: the address to name in errors.

    Once it has raised ProtocolViolation it raises the same again. What an event that has
    not ended yet holds is lost with the parser, as the standard wants it.

    Attributes:
        last_event_id: the last id that any event was given, to resume with.
        retry_ms: how long the server wants its client to wait before it connects again;
            None where it has not said.
        comments: how many comments have come.
    """

    def __init__(self, max_event_bytes: int, *, endpoint: str | None = None) -> None:
        self.last_event_id = ""
        self.retry_ms: int | None = None
        self.comments = 0
        self._max_bytes = max_event_bytes
        self._endpoint = endpoint
        self._error: ProtocolViolation | None = None
        self._opening: bytes | None = b""
        self._after_cr = False
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._data: list[bytes] = []
        self._type = b""
        self._id = ""
        self._last_id = ""
        self._bytes = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """Take the next bytes of the stream, and return the events that they complete.

        Raises ProtocolViolation for text that is not UTF-8 and for an event that is too
        large. Events that came before such a one are returned first; the next call
        raises, so call it with b"" at the end of the stream.
        """
        events: list[Event] = []
        if self._error is None:
            try:
                self._consume(chunk, events)
            except UnicodeDecodeError as error:
                self._error = self._violation(f"an event is not UTF-8: {error.reason}")
                self._error.__cause__ = error
            except ProtocolViolation as error:
                self._error = error
        if self._error is not None and not events:
            raise self._error
        return events

    def _consume(self, chunk: bytes, events: list[Event]) -> None:
        if self._opening is not None:
            chunk = self._without_bom(chunk)
        if not chunk:
            return
        if self._after_cr or b"\r" in chunk:
            chunk = self._with_lf_only(chunk)
        complete, newline, rest = chunk.rpartition(b"\n")
        if newline:
            if self._rest:
                complete = b"".join([*self._rest, complete])
                self._rest.clear()
                self._rest_bytes = 0
            self._lines(complete, events)
        if rest:
            self._rest.append(rest)
            self._rest_bytes += len(rest)
            if self._rest_bytes > self._max_bytes:
                raise self._too_large()

    def _without_bom(self, chunk: bytes) -> bytes:
        """The chunk without the mark at the start of the stream; nothing while that is not certain."""
        opening = (self._opening or b"") + chunk
        if len(opening) < len(_BOM) and _BOM.startswith(opening):
            self._opening = opening
            return b""
        self._opening = None
        return opening.removeprefix(_BOM)

    def _with_lf_only(self, chunk: bytes) -> bytes:
        """The chunk with every end of a line as LF; the LF of a CRLF may come in the next one."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
            if not chunk:
                return chunk
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _lines(self, text: bytes, events: list[Event]) -> None:
        """Take complete lines, the last of them without its end."""
        fresh = not self._bytes and text.startswith(b"data: ")
        if fresh and len(text) <= self._max_bytes and (plain := _plain(text)) is not None:
            events += plain
            return
        *blocks, rest = (text + b"\n").split(b"\n\n")
        for block in blocks:
            for line in block.split(b"\n"):
                self._line(line, events)
            self._dispatch(events)
        if rest:
            for line in rest[:-1].split(b"\n"):
                self._line(line, events)

    def _line(self, line: bytes, events: list[Event]) -> None:
        if not line:
            self._dispatch(events)
            return
        if line.startswith(b":"):
            if len(line) > self._max_bytes:
                raise self._too_large()
            self.comments += 1
            return
        self._bytes += len(line)
        if self._bytes > self._max_bytes:
            raise self._too_large()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"id":
            if b"\0" not in value:
                self._id = self._last_id = value.decode()
        elif name == b"event":
            self._type = value
        elif name == b"retry" and value.isdigit() and len(value) <= _LONGEST_NUMBER:
            self.retry_ms = int(value)

    def _dispatch(self, events: list[Event]) -> None:
        """An empty line: the event is complete, if there is one."""
        if not self._bytes:
            return
        self.last_event_id = self._last_id
        if self._data:
            data = b"\n".join(self._data).decode()
            events.append(_new(Event, (self._type.decode() or "message", data, self._id)))
            self._data.clear()
        self._type = b""
        self._id = ""
        self._bytes = 0

    def _too_large(self) -> ProtocolViolation:
        return self._violation(
            f"an event is too large: more than {self._max_bytes} bytes",
            retryable=False,
            hint="raise max_message_bytes on this side",
        )

    def _violation(
        self, message: str, retryable: bool | None = None, hint: str | None = None
    ) -> ProtocolViolation:
        return ProtocolViolation(message, endpoint=self._endpoint, retryable=retryable, hint=hint)


def _plain(text: bytes) -> list[Event] | None:
    """The events of complete lines where each is one line of data, as most servers write them; else None."""
    if not text.endswith(b"\n"):
        return None
    try:
        parts = text[6:-1].decode().split("\n\ndata: ")
    except UnicodeDecodeError:
        return None  # those before the broken one are still to come out
    if text.count(b"\n") != 2 * len(parts) - 1:
        return None
    return [_new(Event, ("message", data, "")) for data in parts]


def format_event(data: str | bytes, *, event: str = "", id: str = "") -> bytes:
    """The bytes of one event.

    data: text, or its UTF-8; every end of a line in it arrives as LF.
    event: its type, "message" where none is given. id: its id.

    Raises DataValidationError where type or id have the end of a line, or the id a NUL:
    they would arrive as something else.
    """
    text = data if isinstance(data, bytes) else data.encode()
    head = _field("event", event, "\r\n") + _field("id", id, "\r\n\0")
    if b"\n" in text or b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\ndata: ")
    return b"".join([head, b"data: ", text, b"\n\n"])


def _field(name: str, value: str, refused: str) -> bytes:
    if not value:
        return b""
    if any(character in value for character in refused):
        raise DataValidationError("must be one line", field=name, hint="take the end of a line out of it")
    return f"{name}: {value}\n".encode()
