"""The percentiles of a run as a table for a terminal."""

from __future__ import annotations

from rpe.load.results import Results

__all__ = ["percentiles"]

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


def percentiles(results: Results) -> list[str]:
    """Return one line for each kind and name: what was counted, and latencies in milliseconds."""
    names = results.kinds_names()
    width = max([len(name) for _, name in names], default=4)
    columns = ("count", "failed", "missed", *_QUANTILES, "max")
    head = f"{'Type':<8} {'Name':<{width}} " + " ".join(f"{column:>9}" for column in columns)
    lines = ["Latencies of what went well, in ms (HDR histograms)", head, "-" * len(head)]
    for kind, name in names:
        series = results.series(kind, name)
        counts = [str(number) for number in (series.count, series.failed, series.missed)]
        times = [*(series.quantile_s(q) for q in _QUANTILES.values()), series.max_s]
        cells = [*counts, *(f"{time_s * 1000:.3f}" for time_s in times)]
        lines.append(f"{kind:<8} {name:<{width}} " + " ".join(f"{cell:>9}" for cell in cells))
    return lines
