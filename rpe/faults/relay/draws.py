"""The draws of a link, written down: so that a run can be explained, and repeated decision by decision.

Datagrams are numbered per link and direction, from 1, as they meet impairments; those that
pass while there are none are not counted. So the n-th datagram under a fault has the same
number in every run, however much went before.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TextIO

from rpe.errors import ConfigurationError
from rpe.faults.actions import Stream
from rpe.faults.relay.decision import Decision, Delivery, Flip

__all__ = ["DrawLog", "DrawRecord", "Replay"]

KEPT = 10_000
"""How many records of a link are kept in memory."""

Draws = Mapping[str, tuple[float, ...]]
Effects = Mapping[str, tuple[str, ...]]
Leaving = tuple[tuple[float, tuple[Flip, ...]], ...]


@dataclass(frozen=True, slots=True)
class DrawRecord:
    """What was drawn for one datagram of `size` bytes, and what followed.

    `draws` and `effects` are by the impairment's name; an effect is a word such as `dropped`.
    `deliveries` are delays in seconds after its arrival, each with the bytes that were flipped.
    """

    link: str
    stream: Stream
    number: int
    size: int
    draws: Draws
    effects: Effects
    deliveries: Leaving
    dropped_by: str | None = None

    def decision(self, now: float) -> Decision:
        """Return the same decision for a datagram that arrives at `now`."""
        copies = tuple(Delivery(now + delay_s, flips) for delay_s, flips in self.deliveries)
        return Decision(copies, self.dropped_by)

    def as_json(self) -> dict[str, Any]:
        """Return the record as plain JSON data."""
        return {
            "link": self.link,
            "stream": self.stream,
            "number": self.number,
            "size": self.size,
            "draws": {name: list(draws) for name, draws in self.draws.items()},
            "effects": {name: list(words) for name, words in self.effects.items()},
            "deliveries": [
                {"delay_s": delay_s, "flips": [list(flip) for flip in flips]}
                for delay_s, flips in self.deliveries
            ],
            "dropped_by": self.dropped_by,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read a record back. Raises KeyError, TypeError or ValueError where it is not one."""
        return cls(
            link=data["link"],
            stream=data["stream"],
            number=int(data["number"]),
            size=int(data["size"]),
            draws={name: tuple(draws) for name, draws in data["draws"].items()},
            effects={name: tuple(words) for name, words in data["effects"].items()},
            deliveries=tuple(
                (float(copy["delay_s"]), tuple(Flip(*flip) for flip in copy["flips"]))
                for copy in data["deliveries"]
            ),
            dropped_by=data["dropped_by"],
        )


@dataclass(slots=True)
class DrawLog:
    """The latest records of one link, and all of them in `file` (JSON, one a line) where there is one."""

    file: TextIO | None = None
    records: deque[DrawRecord] = field(default_factory=lambda: deque(maxlen=KEPT))

    def add(self, record: DrawRecord) -> None:
        """Keep a record, and write it."""
        self.records.append(record)
        if self.file is not None:
            self.file.write(json.dumps(record.as_json(), separators=(",", ":")) + "\n")


class Replay:
    """The decisions of an earlier run, to be taken instead of draws."""

    def __init__(self, records: Iterable[DrawRecord]) -> None:
        self._records = MappingProxyType(
            {(record.link, record.stream, record.number): record for record in records}
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that a `DrawLog` wrote. Raises ConfigurationError where it cannot be read."""
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"the recorded draws in {path} cannot be read: {error}") from error
        records = []
        for number, line in enumerate(lines, start=1):
            try:
                records.append(DrawRecord.from_json(json.loads(line)))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ConfigurationError(f"{path}:{number} is not a record of a draw") from error
        return cls(records)

    def get(self, link: str, stream: Stream, number: int) -> DrawRecord | None:
        """Return what was decided about a datagram; None beyond the end of the recording."""
        return self._records.get((link, stream, number))
