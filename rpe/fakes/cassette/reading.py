"""Reading a cassette strictly: every mistake is told by its line, all at once."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from rpe.errors import ConfigurationError
from rpe.fakes.cassette.lines import VERSION, CallLine, EndLine, EventLine, HeadersLine, HeadLine, Line
from rpe.fakes.cassette.model import Cassette, Event, RecordedCall

__all__ = ["parse_cassette", "read_cassette"]

_MOST_TOLD = 20


def read_cassette(path: Path | str) -> Cassette:
    """Read a cassette from its file.

    A last line that was torn, as a killed recorder leaves it, is passed over. Raises
    ConfigurationError where the file cannot be read, or with the mistakes in it, each by its line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8", errors="strict")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    return parse_cassette(text, str(path))


def parse_cassette(text: str, name: str = "the cassette") -> Cassette:
    """Read a cassette from its text; `name` is what mistakes are told of. Raises ConfigurationError."""
    # Not splitlines: it would also split at signs that JSON leaves as they are inside a string.
    lines = text.split("\n")
    if lines[-1] and not _is_json(lines[-1]):
        lines[-1] = ""
    reading = _Reading(name)
    for number, line in enumerate(lines, 1):
        if line.strip():
            reading.take(number, line)
    return reading.done()


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


class _Reading:
    def __init__(self, name: str) -> None:
        self._name = name
        self._mistakes: list[str] = []
        self._head: HeadLine | None = None
        self._calls: dict[int, RecordedCall] = {}

    def take(self, number: int, line: str) -> None:
        try:
            if self._head is None:
                self._head = self._read_head(line)
            else:
                told = Line.validate_json(line)
                mistake = self._begin(told, number) if isinstance(told, CallLine) else self._add(told, number)
                if mistake:
                    self._wrong(number, mistake)
        except ValidationError as error:
            for found in error.errors(include_url=False, include_input=False):
                loc = found["loc"][1:] if found["loc"] and found["loc"][0] in _TAGS else found["loc"]
                where = ".".join(str(part) for part in loc)
                self._wrong(number, f"{where}: {found['msg']}" if where else found["msg"])
        if self._head is None:
            raise self._error()

    def _read_head(self, line: str) -> HeadLine:
        try:
            data = json.loads(line)
        except ValueError:
            data = None
        version = data.get("cassette") if isinstance(data, dict) else None
        if version is None:
            raise ConfigurationError(
                f"{self._name}:1: this is not a cassette: its first line says which one it is",
                hint="`rpe fake record --upstream URL -o FILE` writes cassettes",
            )
        if version != VERSION:
            raise ConfigurationError(
                f"{self._name}:1: a cassette of version {version}; this rpe reads version {VERSION}"
            )
        return HeadLine.model_validate_json(line)

    def _begin(self, told: CallLine, number: int) -> str:
        assert self._head is not None
        if told.call in self._calls:
            return f"call {told.call} has begun in line {self._calls[told.call].line} already"
        if self._head.wire == "http" and not told.path.startswith("/"):
            return f"call {told.call} of HTTP needs a path"
        if self._head.wire == "grpc" and (told.path or not told.method.startswith("/")):
            return f"call {told.call}: the method of gRPC is /package.Service/Method, and there is no path"
        self._calls[told.call] = RecordedCall(told, number)
        return ""

    def _add(self, told: EventLine, number: int) -> str:
        call = self._calls.get(told.call)
        if call is None:
            return f"call {told.call} has not begun"
        if call.end is not None:
            return f"call {told.call} has ended in line {call.events[-1].line}"
        if call.events and told.at_s < call.events[-1].told.at_s:
            return f"at_s goes back: {told.at_s} after {call.events[-1].told.at_s}"
        if isinstance(told, HeadersLine) and call.headers is not None:
            return f"call {told.call} has had its headers"
        call.events.append(Event(number, told))
        return self._fits_wire(told)

    def _fits_wire(self, told: EventLine) -> str:
        assert self._head is not None
        grpc = self._head.wire == "grpc"
        if isinstance(told, HeadersLine) and grpc != (told.status is None):
            return "gRPC has no status in its headers" if grpc else "the headers of HTTP need a status"
        if isinstance(told, EndLine):
            if told.how in (("complete",) if grpc else ("status", "no_trailers", "http_status", "deadline")):
                return f"a call of {self._head.wire} does not end as {told.how}"
            if told.how in ("status", "deadline") and not told.code:
                return "the end needs the code of a status"
            if told.how == "status" and told.code not in _codes():
                return f"code: {told.code} is no status of gRPC"
            if told.how == "http_status" and told.number is None:
                return "the end needs a number"
        return ""

    def _wrong(self, number: int, mistake: str) -> None:
        self._mistakes.append(f"{self._name}:{number}: {mistake.removeprefix('Value error, ')}")

    def _error(self) -> ConfigurationError:
        told = self._mistakes[:_MOST_TOLD]
        if more := len(self._mistakes) - len(told):
            told.append(f"and {more} more")
        return ConfigurationError("\n  ".join(["the cassette cannot be used:", *told]))

    def done(self) -> Cassette:
        if self._head is None and not self._mistakes:
            raise ConfigurationError(f"{self._name} is empty")
        if self._mistakes or self._head is None:
            raise self._error()
        return Cassette(self._head, [self._calls[number] for number in sorted(self._calls)])


_TAGS = ("call", "request", "half_close", "headers", "answer", "end")
"""What pydantic names a kind of line by, which is not a key in it."""


def _codes() -> frozenset[str]:
    from rpe.fakes.cassette.codes import STATUS_NUMBERS

    return frozenset(STATUS_NUMBERS)
