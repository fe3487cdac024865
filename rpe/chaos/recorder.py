"""What a run writes down: events of the harness, and what the client under test reports of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rpe.chaos.history import HistoryWriter
from rpe.clock import Clock
from rpe.errors import redact

__all__ = ["REPORTABLE", "Recorder"]

REPORTABLE = frozenset({"attempt.start", "attempt.end", "breaker", "health"})
"""The events that a client under test may report; anything else is written as its mistake."""


@dataclass(slots=True)
class _Attempts:
    """What was reported of one operation's attempts."""

    count: int = 0
    last: str | None = None
    succeeded: str | None = None


class Recorder:
    """Writes the events of a run, in the order in which they come.

    What comes before `begin` is written as of time zero.

    Arguments:
        writer: where events go; it is closed by whoever made it.
        clock: gives the time of events.
        names: addresses to names of servers, because a history knows names only.
    """

    def __init__(self, writer: HistoryWriter, clock: Clock, names: Mapping[str, str]) -> None:
        self._writer = writer
        self._clock = clock
        self._names = names
        self._origin_s: float | None = None
        self._attempts: dict[str, _Attempts] = {}

    def begin(self) -> float:
        """The run begins now: return the moment on the clock that all times are counted from."""
        self._origin_s = self._clock.now()
        return self._origin_s

    @property
    def origin_s(self) -> float | None:
        """When the run began, or None where it has not."""
        return self._origin_s

    def now_s(self) -> float:
        """Seconds since the run began; zero before."""
        return 0.0 if self._origin_s is None else self._clock.now() - self._origin_s

    def record(self, event: str, /, **fields: Any) -> None:
        """Write an event of the harness, now."""
        self._writer.write_at(self.now_s(), event, fields)

    def record_at(self, at_s: float, event: str, fields: Mapping[str, Any]) -> None:
        """Write an event that happened at a moment of the clock."""
        self._writer.write_at(at_s - (self._origin_s or at_s), event, fields)

    def report(self, event: str, fields: Mapping[str, Any]) -> None:
        """Write an event that the client under test reports. Never raises: a bad report is its mistake."""
        try:
            if event not in REPORTABLE:
                raise ValueError("that is nothing that a client reports")
            told = {key: value for key, value in fields.items() if key not in ("t", "e")}
            if "endpoint" in told:
                told["endpoint"] = self._names.get(told["endpoint"], told["endpoint"])
            self._count(event, told)
            self._writer.write_at(self.now_s(), event, told)
        except Exception as error:
            self.subject_error(f"reported {event!r}: {error}")

    def subject_error(self, message: str) -> None:
        """Write down something that the client did outside of its contract."""
        self.record("subject.error", message=redact(message)[:500])

    def attempts(self, op: str) -> tuple[int | None, str | None]:
        """Return how many attempts were reported of an operation, and the endpoint its outcome came from.

        The count is None where the client does not report. What is kept of the operation is let go of.
        """
        known = self._attempts.pop(op, None)
        if known is None:
            return None, None
        return known.count, known.succeeded or known.last

    def _count(self, event: str, told: Mapping[str, Any]) -> None:
        op = told.get("op")
        if not op or event not in ("attempt.start", "attempt.end"):
            return
        known = self._attempts.setdefault(str(op), _Attempts())
        if event == "attempt.start":
            known.count += 1
            known.last = told.get("endpoint")
        elif told.get("outcome") == "success":
            known.succeeded = told.get("endpoint")
