"""A cassette as it is read: its calls, each with its events in the order in which they came."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from rpe.fakes.cassette.lines import (
    AnswerLine,
    CallLine,
    EndLine,
    EventLine,
    HalfCloseLine,
    HeadersLine,
    HeadLine,
    Pair,
    RequestLine,
)

__all__ = ["Cassette", "Event", "RecordedCall", "content_of"]


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a call and the number of its line, which tells what came before what."""

    line: int
    told: EventLine


@dataclass(slots=True)
class RecordedCall:
    """A call as it was recorded, by its number in the cassette."""

    head: CallLine
    line: int
    events: list[Event] = field(default_factory=list)

    @property
    def number(self) -> int:
        """Its number: calls are counted from 1 in the order in which they began."""
        return self.head.call

    @property
    def method(self) -> str:
        """Its method: `/package.Service/Method` of gRPC, or that of HTTP."""
        return self.head.method

    @property
    def name(self) -> str:
        """What it is called by: the method, and the path where there is one."""
        return f"{self.head.method} {self.head.path}".strip()

    @property
    def metadata(self) -> tuple[Pair, ...]:
        """What the caller sent beside its messages, scrubbed."""
        return self.head.metadata

    @property
    def requests(self) -> list[bytes]:
        """The caller's messages, or the pieces of its body."""
        return [event.told.data for event in self.events if isinstance(event.told, RequestLine)]

    @property
    def answers(self) -> list[bytes]:
        """The messages of the answer, the events of its stream, or the pieces of its body."""
        return [event.told.data for event in self.events if isinstance(event.told, AnswerLine)]

    @property
    def headers(self) -> HeadersLine | None:
        """The headers of the answer; None where none came."""
        return next((event.told for event in self.events if isinstance(event.told, HeadersLine)), None)

    @property
    def end(self) -> EndLine | None:
        """How it ended; None where the recorder was gone before it did."""
        last = self.events[-1].told if self.events else None
        return last if isinstance(last, EndLine) else None

    @property
    def speaks_first(self) -> bool:
        """Whether the server answered before the first message of gRPC, or the end of a body, had come."""
        for event in self.events:
            match event.told:
                case RequestLine() if self.head.path:
                    continue
                case RequestLine() | HalfCloseLine():
                    return False
                case EndLine(how="cancelled" | "deadline"):
                    return False
                case _:
                    return True
        return False

    @property
    def is_event_stream(self) -> bool:
        """Whether its answer is a stream of server-sent events."""
        pairs = self.headers.metadata if self.headers is not None else ()
        return any(
            key.lower() == "content-type" and value.lower().startswith("text/event-stream")
            for key, value in pairs
        )


@dataclass(slots=True)
class Cassette:
    """What a recorder wrote: the wire, whom it recorded, and the calls in the order of their beginning."""

    head: HeadLine
    calls: list[RecordedCall]

    @property
    def unfinished(self) -> list[RecordedCall]:
        """The calls that had not ended when the recorder did."""
        return [call for call in self.calls if call.end is None]


def content_of(pieces: Sequence[bytes]) -> str:
    """Return the hash that requests are matched by."""
    return hashlib.sha256(b"".join(pieces)).hexdigest()
