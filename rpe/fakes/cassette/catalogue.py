"""Which recording answers a call."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Literal, NamedTuple

from rpe.fakes.cassette.model import Cassette, RecordedCall, content_of

__all__ = ["Catalogue", "Found", "Match"]

Match = Literal["content-then-order", "content", "order"]
"""How recordings are chosen among those of one method or path."""

_NEAR = 3


class Found(NamedTuple):
    """A recording and by what it was found; without one, why there is none."""

    call: RecordedCall | None
    by: str


class Catalogue:
    """The recordings of a cassette. Each is given once; then the last one that fits stays."""

    def __init__(self, cassette: Cassette, match: Match) -> None:
        self._grpc = cassette.head.wire == "grpc"
        self._match = match
        self._by_key: dict[tuple[str, str], list[RecordedCall]] = {}
        for call in cassette.calls:
            self._by_key.setdefault((call.head.method, call.head.path), []).append(call)
        self._content = {call.number: self._content_of(call) for call in cassette.calls}
        self._given: set[int] = set()

    def reset(self) -> None:
        """Give every recording once more."""
        self._given.clear()

    def is_of(self, number: int, content: str) -> bool:
        """Whether a recording is of a request with this hash."""
        return self._content[number] == content

    def knows(self, method: str, path: str = "") -> bool:
        """Whether there is any recording of a method or path."""
        return (method, path) in self._by_key

    def answers_unasked(self, method: str, path: str = "") -> bool:
        """Whether the answer may have to begin before anything of the request has come."""
        recorded = self._by_key.get((method, path), ())
        return self._match == "order" or any(call.speaks_first for call in recorded)

    def find(self, method: str, path: str, content: str | None) -> Found:
        """Choose a recording. `content` is the hash of the request; None where none has been read."""
        recorded = self._by_key.get((method, path))
        if recorded is None:
            return Found(None, self._near(f"{method} {path}".strip()))
        if content is not None and self._match != "order":
            same = [call for call in recorded if self._content[call.number] == content]
            if same:
                return Found(self._next(same), "content")
            if self._match == "content":
                times = "call" if len(recorded) == 1 else "calls"
                return Found(None, f"{len(recorded)} {times} of it recorded, none of them with this request")
        return Found(self._next(recorded), "order")

    def _next(self, recorded: Sequence[RecordedCall]) -> RecordedCall:
        fresh = (call for call in recorded if call.number not in self._given)
        chosen = next(fresh, recorded[-1])
        self._given.add(chosen.number)
        return chosen

    def _content_of(self, call: RecordedCall) -> str:
        return content_of(call.requests[:1] if self._grpc else call.requests)

    def _near(self, name: str) -> str:
        names = sorted({call.name for recorded in self._by_key.values() for call in recorded})
        if not names:
            return "the cassette has no call at all"
        near = difflib.get_close_matches(name, names, _NEAR, 0.4) or names[:_NEAR]
        return f"it was not recorded; what was: {', '.join(near)}"
