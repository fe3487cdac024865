"""What was measured since someone last asked: in short for Locust's statistics, in full by the second."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from rpe.load.histograms import encode_counts
from rpe.load.messages import Samples
from rpe.load.rows import SLOT_S, Row

__all__ = ["Recorder"]


@dataclass(slots=True)
class _Cell:
    """A row in the making: latencies by value in microseconds, and what else is counted."""

    good_us: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    bad_us: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    failures: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    count: int = 0
    missed: int = 0
    bytes: int = 0


class Recorder:
    """Takes measurements, and hands them on twice: as samples, and as rows that add up.

    `zero_s` is the start of the test on the clock of the measurements. What was due before counts as
    due then.
    """

    def __init__(self, zero_s: float) -> None:
        self._zero_s = zero_s
        self._samples: dict[tuple[str, str], Samples] = {}
        self._cells: dict[tuple[str, str, int], _Cell] = {}

    def restart(self, zero_s: float) -> None:
        """Begin a new test: what was measured and not yet taken is of the last one, and dropped."""
        self._zero_s = zero_s
        self._samples.clear()
        self._cells.clear()

    def record(
        self, kind: str, name: str, due_s: float, latency_s: float, size: int, error: str | None
    ) -> None:
        """Count one operation that has ended: well, where `error` is None."""
        latency_us = int(latency_s * 1e6 + 0.5)
        cell = self._cell(kind, name, due_s)
        cell.count += 1
        samples = self._samples_of(kind, name)
        if error is None:
            cell.bytes += size
            cell.good_us[latency_us] += 1
            samples.good_us.append(latency_us)
            samples.size += size
        else:
            cell.failures[error] += 1
            cell.bad_us[latency_us] += 1
            samples.bad.append((latency_us, error))

    def miss(self, kind: str, name: str, due_s: float) -> None:
        """Count one arrival that was due and does not start."""
        self._cell(kind, name, due_s).missed += 1
        self._samples_of(kind, name).missed += 1

    def take_samples(self) -> list[Samples]:
        """Return what was measured since the last time."""
        taken, self._samples = self._samples, {}
        return list(taken.values())

    def take_rows(self) -> list[Row]:
        """Return the rows of what was measured since the last time; they add to those of the same slots."""
        taken, self._cells = self._cells, {}
        return [
            Row(
                kind,
                name,
                slot,
                count=cell.count,
                failures=dict(cell.failures),
                missed=cell.missed,
                bytes=cell.bytes,
                histogram=encode_counts(cell.good_us) if cell.good_us else "",
                failed_histogram=encode_counts(cell.bad_us) if cell.bad_us else "",
            )
            for (kind, name, slot), cell in taken.items()
        ]

    def _samples_of(self, kind: str, name: str) -> Samples:
        samples = self._samples.get((kind, name))
        if samples is None:
            samples = self._samples[kind, name] = Samples(kind, name)
        return samples

    def _cell(self, kind: str, name: str, due_s: float) -> _Cell:
        key = kind, name, max(0, int((due_s - self._zero_s) / SLOT_S))
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = _Cell()
        return cell
