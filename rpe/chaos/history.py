"""The history of a run: written event by event, read as joined records.

`History` is what checks judge. It reads a whole file or a list of events, and joins what
belongs together once, at first need: operations with their ends, attempts, windows,
faults, chunks with their answers, and the journals of the servers.

The name of an event says what it is: `run.*`, `window.*`, `fault.*`, `operation.*`,
`chunk.*`, `attempt.*`, `breaker`, `health`, `server.*`, `resource`, `machine.stall`,
`subject.error`.
An endpoint goes by the server's name in the scenario throughout.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

from rpe.chaos import joining
from rpe.chaos.records import (
    Attempt,
    BreakerChange,
    Chunk,
    ChunkAnswer,
    Event,
    FaultRecord,
    HealthChange,
    Missed,
    Operation,
    Resources,
    ServerEvent,
    SubjectError,
    WindowRecord,
)
from rpe.chaos.writing import HistoryWriter
from rpe.errors import DataValidationError

__all__ = ["FINISHED", "History", "HistoryError", "HistoryWriter"]

T = TypeVar("T")

FINISHED = "finished"
"""The reason in `run.end` of a run that went to its planned end; any other is the run's own failure."""


class HistoryError(DataValidationError):
    """A line of a history is not an event, and it is not just the last one cut short."""

    code = "history_unreadable"
    default_hint = "was the file edited, or written by another version?"


class History:
    """What happened in a run, in the order it was written.

    `cut` says that the last line was cut short, as happens where a run is killed; that
    line is left out, everything before it counts.
    """

    def __init__(self, events: Iterable[Event], *, cut: bool = False) -> None:
        self.events: Sequence[Event] = tuple(events)
        self.cut = cut
        self._computed: dict[Callable[[History], Any], Any] = {}

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a history file.

        Raises HistoryError with the number of the line that is not an event; OSError
        where the file cannot be read.
        """
        lines = path.read_bytes().split(b"\n")
        last = lines.pop()
        events = [_event(line, number, path.name) for number, line in enumerate(lines, 1) if line.strip()]
        return cls(events, cut=bool(last.strip()))

    @classmethod
    def of(cls, *events: tuple[float, str, Mapping[str, Any]]) -> Self:
        """Make a history from (time in seconds, name, fields)."""
        return cls(Event(t, name, fields, line) for line, (t, name, fields) in enumerate(events, 1))

    def __repr__(self) -> str:
        return f"History({len(self.events)} events{', cut' if self.cut else ''})"

    def named(self, name: str) -> tuple[Event, ...]:
        """Return the events of one name, in order."""
        return self._by_name.get(name, ())

    def once(self, compute: Callable[[History], T]) -> T:
        """Return what `compute` makes of this history; it is called at the first time only."""
        if compute not in self._computed:
            self._computed[compute] = compute(self)
        result: T = self._computed[compute]
        return result

    @cached_property
    def _by_name(self) -> dict[str, tuple[Event, ...]]:
        found: dict[str, list[Event]] = {}
        for event in self.events:
            found.setdefault(event.name, []).append(event)
        return {name: tuple(events) for name, events in found.items()}

    # --- the run -----------------------------------------------------------------------------------------

    @cached_property
    def end_reason(self) -> str | None:
        """Why the run ended, or None where the history does not tell (it was cut off)."""
        ends = self.named("run.end")
        return str(ends[-1].fields.get("reason", "")) if ends else None

    @cached_property
    def end_s(self) -> float:
        """When the run ended; without an end, the time of the last event."""
        ends = self.named("run.end")
        return ends[-1].t if ends else max((event.t for event in self.events), default=0.0)

    @cached_property
    def windows(self) -> dict[str, WindowRecord]:
        """The windows that opened, by name."""
        return joining.windows(self.named("window.open"), self.named("window.close"))

    @cached_property
    def faults(self) -> dict[str, FaultRecord]:
        """What became of each fault, by name."""
        return joining.faults(event for event in self.events if event.name.startswith("fault."))

    @cached_property
    def last_heal_s(self) -> float | None:
        """When the last fault was healed; None where one never was, or where there was none."""
        healed = [fault.healed_s for fault in self.faults.values()]
        known = [at_s for at_s in healed if at_s is not None]
        return max(known) if known and len(known) == len(healed) else None

    @cached_property
    def stalls(self) -> tuple[tuple[float, float], ...]:
        """The times in which the machine stood still: when each began, and how long it was, in seconds."""
        return tuple((event.t, float(event.fields["seconds"])) for event in self.named("machine.stall"))

    # --- what the caller saw -----------------------------------------------------------------------------

    @cached_property
    def operations(self) -> dict[str, Operation]:
        """The operations that were started, by id, in the order of their start."""
        return joining.operations(self.named("operation.start"), self.named("operation.end"))

    @cached_property
    def stray_ends(self) -> tuple[Event, ...]:
        """Ends of operations that never started."""
        started = self.operations
        return tuple(event for event in self.named("operation.end") if event.fields.get("op") not in started)

    @cached_property
    def missed(self) -> tuple[Missed, ...]:
        """Arrivals that could not be started."""
        return joining.missed(self.named("operation.missed"))

    @cached_property
    def chunks(self) -> dict[tuple[str, int], Chunk]:
        """The chunks that were sent, with their answers, by operation and sequence number."""
        return joining.chunks(self.named("chunk.sent"), self.chunk_answers)

    @cached_property
    def chunk_answers(self) -> tuple[ChunkAnswer, ...]:
        """Every answer of every stream, in the order of arrival."""
        return joining.chunk_answers(self.named("chunk.answered"))

    # --- what the subject reported -----------------------------------------------------------------------

    @cached_property
    def attempts(self) -> tuple[Attempt, ...]:
        """The attempts that the subject reported, in the order of their start."""
        return joining.attempts(self.events)

    @cached_property
    def breaker_changes(self) -> tuple[BreakerChange, ...]:
        """The changes of breakers that the subject reported."""
        return joining.breaker_changes(self.events)

    @cached_property
    def health_changes(self) -> tuple[HealthChange, ...]:
        """The changes of health that the subject reported."""
        return joining.health_changes(self.named("health"))

    @cached_property
    def reports_breaker(self) -> bool:
        """Whether the subject tells of its breakers: of their changes, or which attempts are probes."""
        return bool(self.breaker_changes) or any(
            event.fields.get("probe") is not None for event in self.named("attempt.start")
        )

    @cached_property
    def subject_errors(self) -> tuple[SubjectError, ...]:
        """What the subject did outside of its contract."""
        return tuple(
            SubjectError(event.t, str(event.fields.get("message", "")))
            for event in self.named("subject.error")
        )

    # --- what the servers and the process saw ------------------------------------------------------------

    @cached_property
    def server_events(self) -> tuple[ServerEvent, ...]:
        """The journals of all servers, in the order of time."""
        found = joining.server_events(event for event in self.events if event.name.startswith("server."))
        return tuple(sorted(found, key=lambda event: event.t))

    @cached_property
    def resources(self) -> dict[str, Resources]:
        """What the process held, by moment: `baseline`, `final`."""
        return joining.resources(self.named("resource"))


def _event(line: bytes, number: int, file: str) -> Event:
    try:
        fields = json.loads(line)
        t, name = fields.pop("t"), fields.pop("e")
        return Event(float(t), str(name), fields, number)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HistoryError(f"line {number} of {file} is not an event", field=f"line {number}") from error
