"""What a fake server has seen and done, in order: the other half of a run's history."""

from __future__ import annotations

import asyncio
import enum
import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import IO, Any

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import ConfigurationError

__all__ = ["Entry", "Journal", "Kind", "read_entries"]


class Kind(enum.StrEnum):
    """What an entry tells of.

    RECEIVED: a call has come in. SENT: it was answered in good order. FAILED: it ended
    with a status, an error, or a broken connection. CANCELLED: the caller gave up, its
    deadline passed, or the server stopped. FAULT: a part of the script took effect.
    READY, CHUNK, RESULT: inside a session, which ends with one of the three above.
    What goes out is written down before it goes: what a caller has got is always here.
    SCRIPT: the fake was given another script.
    """

    RECEIVED = "received"
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"
    FAULT = "fault"
    READY = "ready"
    CHUNK = "chunk"
    RESULT = "result"
    SCRIPT = "script"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal.

    `at_s` is the monotonic clock's time, which all processes of a Linux machine share.
    `content` holds the content hash of each piece of data, by its name. `remaining_s` is
    what was left of the caller's deadline. `call` counts calls of this fake from 1.
    """

    kind: Kind
    at_s: float
    server: str
    call: int = 0
    method: str = ""
    operation_id: str = ""
    attempt: int = 0
    remaining_s: float | None = None
    sequence: int | None = None
    content: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""
    detail: str = ""

    def to_json(self) -> str:
        """Return the entry as one line of JSON, without what is at its default."""
        shown = ((name, getattr(self, name), default) for name, default in _DEFAULTS.items())
        return json.dumps({name: value for name, value, default in shown if value != default})

    @classmethod
    def from_json(cls, line: str) -> Entry:
        """Read one line of JSON. Raises ValueError, TypeError or KeyError where it is no entry."""
        raw = json.loads(line)
        return cls(**{**raw, "kind": Kind(raw["kind"])})


_DEFAULTS: dict[str, Any] = {
    item.name: {} if item.name == "content" else item.default for item in fields(Entry)
}


class Journal:
    """An append-only record: in memory the newest `limit` entries, in the file (where there is one) all.

    Each line is handed to the system at once, so that a process that is killed leaves
    behind what it wrote. Counters count entries also after they have left the memory.
    """

    def __init__(
        self, *, path: Path | None = None, limit: int = 100_000, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.counts: Counter[Kind] = Counter()
        self.in_flight = 0
        self.observers: list[Callable[[Entry], None]] = []
        """Told of each entry as it is added."""
        self._entries: deque[Entry] = deque(maxlen=limit)
        self._clock = clock
        self._waiting: list[tuple[Callable[[Entry], bool], asyncio.Future[Entry]]] = []
        self._path = path
        self._file: IO[str] | None = None
        self.open()

    def open(self) -> None:
        """Open the file, where there is one: entries are added to what is in it. Harmless where it is open.

        Raises ConfigurationError where it cannot be written.
        """
        if self._path is None or self._file is not None:
            return
        try:
            self._file = self._path.open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise ConfigurationError(f"the journal cannot be written: {error}") from error

    def append(self, entry: Entry) -> None:
        """Add an entry, and wake whoever waits for one like it."""
        self._entries.append(entry)
        self.counts[entry.kind] += 1
        if self._file is not None:
            self._file.write(entry.to_json() + "\n")
        for observer in self.observers:
            observer(entry)
        for predicate, future in self._waiting:
            if not future.done() and predicate(entry):
                future.set_result(entry)

    def entries(
        self,
        *kinds: Kind,
        method: str | None = None,
        fault: str | None = None,
        operation_id: str | None = None,
    ) -> list[Entry]:
        """Return the entries in memory, oldest first: all of them, or those that fit."""
        return [
            entry
            for entry in self._entries
            if (not kinds or entry.kind in kinds)
            and (method is None or entry.method == method)
            and (fault is None or entry.fault == fault)
            and (operation_id is None or entry.operation_id == operation_id)
        ]

    async def wait_for(self, predicate: Callable[[Entry], bool], timeout_s: float = 5.0) -> Entry:
        """Return the first entry that fits: one that is there already, or the next to come.

        Raises TimeoutError, which tells the last entries, when none has come in `timeout_s`.
        """
        for entry in self._entries:
            if predicate(entry):
                return entry
        future: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        waiter = (predicate, future)
        self._waiting.append(waiter)
        try:
            async with self._clock.deadline(self._clock.now() + timeout_s):
                return await future
        except TimeoutError as error:
            last = "".join(f"\n  {entry.to_json()}" for entry in list(self._entries)[-5:])
            raise TimeoutError(
                f"no such entry within {timeout_s} s; the last ones:{last or ' none'}"
            ) from error
        finally:
            self._waiting.remove(waiter)

    def close(self) -> None:
        """Close the file; what is in memory stays, and entries may still be added to it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries))

    def __repr__(self) -> str:
        told = ", ".join(f"{count} {kind}" for kind, count in self.counts.items())
        return f"<Journal: {told or 'empty'}, {self.in_flight} in flight>"


def read_entries(path: Path) -> list[Entry]:
    """Read a journal's file. A last line that was cut short, where its writer was killed, is left out."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return list(_parsed(line for line in lines if line.endswith("\n")))


def _parsed(lines: Iterable[str]) -> Iterator[Entry]:
    for line in lines:
        yield Entry.from_json(line)
