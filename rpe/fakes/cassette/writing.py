"""Writing a cassette, a line at a time: whatever kills the recorder leaves what had come until then."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from rpe.clock import Clock
from rpe.errors import ConfigurationError
from rpe.fakes.cassette.lines import (
    AnswerLine,
    CallLine,
    EndLine,
    EventLine,
    HalfCloseLine,
    HeadersLine,
    HeadLine,
    How,
    Pair,
    RequestLine,
    Wire,
    dumped,
    message_fields,
)
from rpe.fakes.cassette.scrubbing import Known, Scrubber

__all__ = ["CallWriter", "CassetteWriter"]

_DIGITS = 6


class CassetteWriter:
    """Writes one cassette. A file that is there already is written over.

    Raises ConfigurationError where the file cannot be written.
    """

    def __init__(self, path: Path, wire: Wire, upstream: str, scrubber: Scrubber, clock: Clock) -> None:
        self.scrubber = scrubber
        self.calls = 0
        self._clock = clock
        self._began_s = clock.now()
        try:
            self._file: TextIO | None = path.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
        self._write(dumped(HeadLine(cassette=1, wire=wire, upstream=upstream, scrub=self.scrubber.names)))

    def begin(
        self,
        method: str,
        path: str = "",
        metadata: Iterable[Pair] = (),
        timeout_s: float | None = None,
    ) -> CallWriter:
        """Write that a call begins, and return what writes the rest of it."""
        self.calls += 1
        return CallWriter(self, self.calls, method, path, metadata, timeout_s, self._clock)

    @property
    def age_s(self) -> float:
        """How long this cassette has been recorded, in seconds."""
        return round(self._clock.now() - self._began_s, _DIGITS)

    def close(self) -> None:
        """Close the file. Calls that go on are unfinished in it. Harmless twice."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _write(self, line: str) -> None:
        if self._file is not None:
            self._file.write(line)
            self._file.flush()

    def write(self, line: Any) -> None:
        """Write one line, at once. Nothing happens once this is closed."""
        self._write(dumped(line))


class CallWriter:
    """Writes the lines of one call, each with the time since its beginning.

    `known` are the credentials that the call has shown, and `answered` says whether any answer came.
    """

    def __init__(
        self,
        cassette: CassetteWriter,
        number: int,
        method: str,
        path: str,
        metadata: Iterable[Pair],
        timeout_s: float | None,
        clock: Clock,
    ) -> None:
        self.number = number
        self.known = Known()
        self._cassette = cassette
        self._clock = clock
        self._began_s = clock.now()
        self._ended = False
        self.answered = False
        scrubber = cassette.scrubber
        # The metadata first: a credential of theirs may stand in the path as well.
        pairs = scrubber.pairs(metadata, self.known)
        cassette.write(
            CallLine(
                call=number,
                began_s=cassette.age_s,
                method=method,
                path=scrubber.target(path, self.known),
                metadata=pairs,
                timeout_s=None if timeout_s is None else round(timeout_s, _DIGITS),
            )
        )

    @property
    def ended(self) -> bool:
        """Whether its end has been written."""
        return self._ended

    @property
    def scrubber(self) -> Scrubber:
        """What its messages are scrubbed by."""
        return self._cassette.scrubber

    def request(self, data: bytes) -> None:
        """Write a message of the caller's, which has been scrubbed."""
        self._write(RequestLine(call=self.number, at_s=self._at_s, **message_fields(data)))

    def half_close(self) -> None:
        """Write that the caller has sent everything."""
        self._write(HalfCloseLine(call=self.number, at_s=self._at_s))

    def headers(self, metadata: Iterable[Pair], status: int | None = None, reason: str = "") -> None:
        """Write the headers of the answer."""
        pairs = self.scrubber.pairs(metadata, self.known)
        self._write(
            HeadersLine(call=self.number, at_s=self._at_s, status=status, reason=reason, metadata=pairs)
        )

    def answer(self, data: bytes) -> None:
        """Write a message of the answer, which has been scrubbed."""
        self.answered = True
        self._write(AnswerLine(call=self.number, at_s=self._at_s, **message_fields(data)))

    def end(
        self,
        how: How,
        code: str = "",
        details: str = "",
        metadata: Iterable[Pair] = (),
        number: int | None = None,
    ) -> None:
        """Write how the call ended, once: what comes later is not looked at."""
        if self._ended:
            return
        self._ended = True
        pairs = self.scrubber.pairs(metadata, self.known)
        self._cassette.write(
            EndLine(
                call=self.number,
                at_s=self._at_s,
                how=how,
                code=code,
                number=number,
                details=self.known.hide(details),
                metadata=pairs,
            )
        )

    def _write(self, line: EventLine) -> None:
        """Write a line, unless the call has ended: a caller may go on sending for a moment."""
        if not self._ended:
            self._cassette.write(line)

    @property
    def _at_s(self) -> float:
        return round(self._clock.now() - self._began_s, _DIGITS)
