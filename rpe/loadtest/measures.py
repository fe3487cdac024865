"""What a gate can measure: each a function of the merged figures of one kind and name over a window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rpe.load.results import Series

__all__ = ["MEASURES", "Measure"]


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure by name: what it is, and how it is had; None where there was nothing to measure."""

    name: str
    description: str
    value: Callable[[Series], float | None]
    timed: bool = False
    """Whether a machine that stands still can spoil it."""


def _of_successes(value: Callable[[Series], float], series: Series) -> float | None:
    return value(series) if series.ok else None


def _error_ratio(series: Series) -> float | None:
    return series.failed / series.count if series.count else None


def _failures(series: Series) -> float | None:
    return float(series.failed) if series.count else None


def _missed(series: Series) -> float | None:
    return float(series.missed) if series.count + series.missed else None


def _missed_ratio(series: Series) -> float | None:
    due = series.count + series.missed
    return series.missed / due if due else None


def _quantile(share: float, series: Series) -> float:
    return series.quantile_s(share)


def _latency(name: str, what: str, value: Callable[[Series], float]) -> Measure:
    text = f"The latency in seconds {what}, from when each operation was due."
    return Measure(name, text, partial(_of_successes, value), timed=True)


_QUANTILES = {"p50_s": 0.5, "p90_s": 0.9, "p95_s": 0.95, "p99_s": 0.99, "p999_s": 0.999}

MEASURES = {
    measure.name: measure
    for measure in (
        *(
            _latency(name, f"that {share * 100:g}% of the successes kept", partial(_quantile, share))
            for name, share in _QUANTILES.items()
        ),
        _latency("max_s", "that all of the successes kept", lambda series: series.max_s),
        _latency("mean_s", "of the successes on average", lambda series: series.mean_s),
        Measure("count", "How many were started and came to an end.", lambda series: float(series.count)),
        Measure("rate_per_s", "How many of them there were per second.", lambda series: series.rate_per_s),
        Measure("failures", "How many failed.", _failures),
        Measure("error_ratio", "The part that failed: 0 is none.", _error_ratio),
        Measure("missed", "How many could not be started when they were due.", _missed),
        Measure(
            "missed_ratio", "The part that could not be started when it was due: 0 is none.", _missed_ratio
        ),
    )
}
"""Every measure, by name."""
