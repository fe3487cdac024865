"""Writing a history: one JSON object a line, in the order of events, readable whenever the run dies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rpe.clock import Clock

__all__ = ["HistoryWriter"]


class HistoryWriter:
    """Appends events to `history.jsonl`, each with its time since the start of the run.

    Arguments:
        path: the file, made or appended to.
        clock: the time that events are stamped with.
        started_at: the clock's time at which the run began, in seconds.

    Each line is handed to the system as it is written, so a run that is killed loses at
    most the end of its last line. Leaving the context closes the file.
    """

    def __init__(self, path: Path, clock: Clock, started_at: float) -> None:
        self.path = path
        self._clock = clock
        self._started_at = started_at
        self._file = path.open("a", encoding="utf-8", buffering=1, newline="\n")

    def write(self, event: str, /, **fields: Any) -> None:
        """Append one event that happens now (see `write_at`)."""
        self.write_at(self._clock.now() - self._started_at, event, fields)

    def write_at(self, t: float, event: str, fields: Mapping[str, Any]) -> None:
        """Append one event that happened `t` seconds after the start, such as an entry of a server's journal.

        Raises ValueError after `close`, or for numbers that JSON does not have; TypeError for
        fields that are not JSON, or that are named as the two that each event has, `t` and
        `e`. Nothing is written then.
        """
        if "t" in fields or "e" in fields:
            raise TypeError("the fields t and e are the time and the name of the event")
        line = json.dumps({"t": round(t, 6), "e": event, **fields}, allow_nan=False, separators=(",", ":"))
        self._file.write(line + "\n")

    def close(self) -> None:
        """Close the file; may be called more than once."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"HistoryWriter({str(self.path)!r})"
