"""The result of a load test as a file, and what can be asked of it: counts and latencies of parts of a run.

The file has one JSON object a line. The first says what it is; each other one is a row: what
was due in one second, of one kind and name, made by one worker.

    {"rpe_load_result": 1, "slot_s": 1.0, "started_s": 81.2, "ended_s": 141.3,
     "workers": 2, "users_peak": 8, "locust": "2.47.0"}
    {"kind": "execute", "name": "echo", "slot": 0, "worker": "local", "count": 812, "failures": {},
     "missed": 0, "bytes": 34916, "histogram": "HISTFAAA...", "failed_histogram": ""}
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpe.load.checking import LineChecks, ResultError
from rpe.load.histograms import Histogram
from rpe.load.rows import SLOT_S, Row, added

__all__ = ["ResultError", "Results", "Series", "read_results", "write_results"]


@dataclass(frozen=True)
class Series:
    """Operations of a part of a run, put together over seconds and workers.

    `count` has all that ended, `failures` those of them that failed, by text; `missed` those that were
    due and did not start, which are in no other figure. Quantiles, mean and maximum
    are those of the operations that went well; `failed_latencies` has the others.
    `span_s` is the length of the part of the run, in seconds.
    """

    span_s: float
    count: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    missed: int = 0
    bytes: int = 0
    latencies: Histogram = field(default_factory=Histogram, repr=False)
    failed_latencies: Histogram = field(default_factory=Histogram, repr=False)

    @property
    def failed(self) -> int:
        """How many operations failed."""
        return sum(self.failures.values())

    @property
    def ok(self) -> int:
        """How many operations went well."""
        return self.count - self.failed

    @property
    def max_s(self) -> float:
        """The longest latency in seconds; 0 where nothing went well."""
        return self.latencies.max_us / 1e6

    @property
    def mean_s(self) -> float:
        """The mean latency in seconds; 0 where nothing went well."""
        return self.latencies.mean_us / 1e6

    @property
    def rate_per_s(self) -> float:
        """How many operations ended for each second of the span; 0 where it has no length."""
        return self.count / self.span_s if self.span_s > 0 else 0.0

    def quantile_s(self, q: float) -> float:
        """Return the latency in seconds that the part `q` (0 to 1) does not exceed; 0 where there is none."""
        return self.latencies.quantile_us(q) / 1e6


@dataclass(frozen=True)
class Results:
    """A whole run: when it was, on the monotonic clock of the machine that kept its figures, and its rows.

    `workers` is 0 for a run in one process. `users_peak` is the greatest number of users seen.
    """

    started_s: float
    ended_s: float
    workers: int
    users_peak: int
    locust: str
    rows: Sequence[Row] = field(repr=False)

    @property
    def duration_s(self) -> float:
        """How long the test ran, in seconds."""
        return self.ended_s - self.started_s

    def kinds_names(self) -> list[tuple[str, str]]:
        """Return all pairs of a kind and a name that there are rows of, sorted."""
        return sorted({(row.kind, row.name) for row in self.rows})

    def series(
        self,
        kind: str | None = None,
        name: str | None = None,
        from_s: float | None = None,
        to_s: float | None = None,
    ) -> Series:
        """Return what was due between two moments, put together.

        Arguments:
            kind, name: what is asked for; None takes all. (Kinds overlap: an execution has attempts.)
            from_s, to_s: seconds from the start of the test. Only slots that lie in between as a whole
                count; None is the start, and the end, of the run, with all that was measured.

        Returns a series without operations where there are no such slots.
        """
        first = 0 if from_s is None else max(0, math.ceil(from_s / SLOT_S - 1e-9))
        last = math.inf if to_s is None else math.floor(to_s / SLOT_S + 1e-9)
        end_s = max(self.duration_s, 0.0) if to_s is None else min(last * SLOT_S, max(self.duration_s, 0.0))
        failures: dict[str, int] = {}
        count = missed = size = 0
        latencies, failed_latencies = Histogram(), Histogram()
        for row in self.rows:
            if (
                not first <= row.slot < last
                or (kind is not None and row.kind != kind)
                or (name is not None and row.name != name)
            ):
                continue
            count += row.count
            missed += row.missed
            size += row.bytes
            for text, times in row.failures.items():
                failures[text] = failures.get(text, 0) + times
            if row.histogram:
                latencies.add(row.histogram)
            if row.failed_histogram:
                failed_latencies.add(row.failed_histogram)
        span_s = max(end_s - first * SLOT_S, 0.0)
        return Series(span_s, count, failures, missed, size, latencies, failed_latencies)


def write_results(path: Path, results: Results) -> None:
    """Write a result; rows that belong together are added up. A file that is there is replaced as a whole."""
    head = {
        "rpe_load_result": 1,
        "slot_s": SLOT_S,
        "started_s": results.started_s,
        "ended_s": results.ended_s,
        "workers": results.workers,
        "users_peak": results.users_peak,
        "locust": results.locust,
    }
    lines = [head, *(row.as_json() for row in added(results.rows))]
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.part")
    beside.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    beside.replace(path)


def read_results(path: Path | str) -> Results:
    """Read what `write_results` has written.

    Raises ResultError, which names every line that is wrong, and OSError where the file cannot be read.
    """
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    checks = LineChecks(str(path))
    head = checks.head(lines[0] if lines else "")
    rows = [row for number, line in enumerate(lines[1:], 2) if (row := checks.row(number, line)) is not None]
    checks.once()
    checks.done()
    return _results(head, rows)


def _results(head: dict[str, Any], rows: Iterable[Row]) -> Results:
    return Results(
        started_s=head["started_s"],
        ended_s=head["ended_s"],
        workers=head["workers"],
        users_peak=head["users_peak"],
        locust=head["locust"],
        rows=tuple(rows),
    )
