"""Comparing two load tests, each of several runs: what differs by more than the runs do among themselves?

A figure is called different where every run of one test lies above every run of the other.
If there were no difference, that would happen by chance in 2 of C(n + m, n) ways to deal the
runs out (the extreme case of the rank sum test of Wilcoxon, and of Mann and Whitney), which
asks for no distribution: 10% with three runs each, 0.8% with five. Fewer than two runs on a
side have no noise to compare with, and nothing is said then.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rpe.errors import ConfigurationError
from rpe.load.results import Results, Series, read_results
from rpe.loadtest.measures import MEASURES

__all__ = ["COMPARED", "Comparison", "Judgement", "Row", "chance", "compare", "runs_of"]

COMPARED = {"rate_per_s": +1, "error_ratio": -1, "missed_ratio": -1, "p50_s": -1, "p99_s": -1, "p999_s": -1}
"""The measures that are compared: +1 where more is better, -1 where less is."""


class Judgement(enum.StrEnum):
    """What is said of a figure: within the noise, better, worse, or that nothing can be said."""

    NOISE = "noise"
    BETTER = "better"
    WORSE = "worse"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Row:
    """One measure of one kind and name: its values in the runs of each side, in order, and what is said."""

    kind: str
    name: str
    measure: str
    before: tuple[float, ...]
    after: tuple[float, ...]
    judgement: Judgement

    @property
    def change(self) -> float | None:
        """The part by which the median has changed, 0.1 for 10% more; None from 0, or without values."""
        if not self.before or not self.after or not median(self.before):
            return None
        return median(self.after) / median(self.before) - 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows, and how many runs each side has."""

    runs: tuple[int, int]
    rows: tuple[Row, ...]

    @property
    def judgement(self) -> Judgement:
        """The worst that is said: worse, unknown, better, or noise."""
        said = {row.judgement for row in self.rows} or {Judgement.UNKNOWN}
        order = (Judgement.WORSE, Judgement.UNKNOWN, Judgement.BETTER, Judgement.NOISE)
        return next(one for one in order if one in said)


def compare(before: Sequence[Results], after: Sequence[Results], *, tolerance: float = 0.0) -> Comparison:
    """Compare the runs of two tests.

    Arguments:
        before, after: the runs, of the same plan.
        tolerance: changes of the median up to this part (0.05 is 5%) are noise, whatever the runs say.

    Raises ConfigurationError where the two have no kind and name of operation in common.
    """
    pairs = [
        set.intersection(*(set(run.kinds_names()) for run in side)) if side else set()
        for side in (before, after)
    ]
    common = sorted(pairs[0] & pairs[1])
    if not common:
        raise ConfigurationError(
            "the two load tests have no operation in common", hint="compare two runs of the same plan"
        )
    rows = []
    for kind, name in common:
        series = [[run.series(kind, name) for run in side] for side in (before, after)]
        for measure, sense in COMPARED.items():
            old, new = (_values(measure, side) for side in series)
            rows.append(Row(kind, name, measure, old, new, _judge(old, new, sense, tolerance)))
    return Comparison((len(before), len(after)), tuple(rows))


def chance(before: int, after: int) -> float:
    """Return how likely it is that so many runs of two equal tests lie apart, in either direction."""
    return min(1.0, 2 / math.comb(before + after, before))


def runs_of(path: Path) -> list[Results]:
    """Return the runs that lie in a folder: its own, or those of its parts, or a result file alone.

    Raises ConfigurationError where there is none; ResultError where one is broken.
    """
    files = (
        [path] if path.is_file() else sorted([*path.glob("result.jsonl"), *path.glob("run-*/result.jsonl")])
    )
    if not files:
        raise ConfigurationError(
            f"{path} holds no load run", hint="name a folder that `rpe load FILE.yaml --repeat K` has made"
        )
    return [read_results(file) for file in files]


def _values(measure: str, runs: Sequence[Series]) -> tuple[float, ...]:
    values = (MEASURES[measure].value(run) for run in runs)
    return tuple(value for value in values if value is not None)


def _judge(before: tuple[float, ...], after: tuple[float, ...], sense: int, tolerance: float) -> Judgement:
    if not before and not after:
        return Judgement.NOISE  # on neither side was there anything to measure
    if min(len(before), len(after)) < 2:
        return Judgement.UNKNOWN
    old, new = median(before), median(after)
    if max(before) < min(after):
        rose = +1
    elif max(after) < min(before):
        rose = -1
    else:
        return Judgement.NOISE
    if abs(new - old) <= tolerance * abs(old):
        return Judgement.NOISE
    return Judgement.BETTER if rose == sense else Judgement.WORSE
