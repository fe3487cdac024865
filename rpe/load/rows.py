"""What was measured in one second of a run, of one kind and name, by one process: a row of a result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from rpe.load.histograms import Histogram

__all__ = ["SLOT_S", "Row", "added"]

SLOT_S = 1.0
"""How much of a run is one slot, in seconds: the first one begins with the test."""


@dataclass(slots=True)
class Row:
    """The operations that were due in one slot. Rows of the same slot add up.

    Arguments:
        kind: `execute`, `stream`, `open`, `chunk` or `attempt`.
        name: what the operations are called; of attempts, with the endpoint.
        slot: the number of whole seconds from the start of the test until they were due.
        worker: the process that made them; `local` where there was only one.
        count: how many ended, well or not.
        failures: how many of them failed, by their text.
        missed: how many arrivals were due and did not start; they are in no other number.
        bytes: the size of what was answered.
        histogram: the latencies of those that went well; empty where there are none.
        failed_histogram: the latencies of those that failed; empty where there are none.
    """

    kind: str
    name: str
    slot: int
    worker: str = "local"
    count: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    missed: int = 0
    bytes: int = 0
    histogram: str = ""
    failed_histogram: str = ""

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What rows that add up have in common."""
        return self.kind, self.name, self.slot, self.worker

    def as_json(self) -> dict[str, Any]:
        """Return the row as a JSON object."""
        return asdict(self)


def added(rows: Iterable[Row]) -> list[Row]:
    """Return rows, those added up that have kind, name, slot and worker in common; sorted by these."""
    together: dict[tuple[str, str, int, str], list[Row]] = {}
    for row in rows:
        together.setdefault(row.key, []).append(row)
    return [_sum(together[key]) for key in sorted(together)]


def _sum(rows: list[Row]) -> Row:
    if len(rows) == 1:
        return rows[0]
    failures: dict[str, int] = {}
    for row in rows:
        for text, times in row.failures.items():
            failures[text] = failures.get(text, 0) + times
    return Row(
        *rows[0].key,
        count=sum(row.count for row in rows),
        failures=failures,
        missed=sum(row.missed for row in rows),
        bytes=sum(row.bytes for row in rows),
        histogram=_together([row.histogram for row in rows if row.histogram]),
        failed_histogram=_together([row.failed_histogram for row in rows if row.failed_histogram]),
    )


def _together(encoded: list[str]) -> str:
    if len(encoded) < 2:
        return "".join(encoded)
    total = Histogram()
    for each in encoded:
        total.add(each)
    return total.encode()
