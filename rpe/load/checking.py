"""Reading a result strictly: every line is checked, and all that is wrong is told at once."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from rpe.errors import ConfigurationError
from rpe.load.histograms import Histogram
from rpe.load.rows import SLOT_S, Row

__all__ = ["LineChecks", "ResultError"]

Check = Callable[[Any], str | None]

_MOST_TOLD = 20


class ResultError(ConfigurationError):
    """A file is no result of a load test. `problems` has the number of each line that is wrong, and why."""

    code = "load_result_invalid"
    default_hint = "a result is written by a load test at its end; it is not meant to be edited"

    def __init__(self, path: str, problems: list[tuple[int, str]]) -> None:
        told = [f"line {number}: {what}" for number, what in problems[:_MOST_TOLD]]
        if len(problems) > _MOST_TOLD:
            told.append(f"and {len(problems) - _MOST_TOLD} more")
        super().__init__(f"{path} is no result of a load test: {'; '.join(told)}")
        self.problems = problems


def _integer(value: Any) -> str | None:
    return None if type(value) is int and value >= 0 else "must be a whole number from 0 on"


def _seconds(value: Any) -> str | None:
    fine = type(value) in (int, float) and math.isfinite(value)
    return None if fine else "must be a number of seconds"


def _text(value: Any) -> str | None:
    return None if type(value) is str and value else "must be a text"


def _failures(value: Any) -> str | None:
    fine = type(value) is dict and all(type(times) is int and times > 0 for times in value.values())
    return None if fine else "must have a number from 1 on for each text"


def _histogram(value: Any) -> str | None:
    if type(value) is not str:
        return "must be a text"
    try:
        if value:
            Histogram().add(value)
    except ValueError as error:
        return str(error)
    return None


def _is(wanted: Any) -> Check:
    return lambda value: None if value == wanted and type(value) is not bool else f"must be {wanted}"


_HEAD: dict[str, Check] = {
    "rpe_load_result": _is(1),
    "slot_s": _is(SLOT_S),
    "started_s": _seconds,
    "ended_s": _seconds,
    "workers": _integer,
    "users_peak": _integer,
    "locust": _text,
}
_ROW: dict[str, Check] = {
    "kind": _text,
    "name": _text,
    "slot": _integer,
    "worker": _text,
    "count": _integer,
    "failures": _failures,
    "missed": _integer,
    "bytes": _integer,
    "histogram": _histogram,
    "failed_histogram": _histogram,
}


class LineChecks:
    """Collects what is wrong with the lines of one file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._problems: list[tuple[int, str]] = []
        self._lines: dict[tuple[str, str, int, str], list[int]] = {}

    def head(self, line: str) -> dict[str, Any]:
        """Return the first line's object, where it is right."""
        head = self._object(1, line, _HEAD)
        if head is not None and head["ended_s"] < head["started_s"]:
            self._problems.append((1, "ended_s lies before started_s"))
        return head or {}

    def row(self, number: int, line: str) -> Row | None:
        """Return the row of a line, or None where it is wrong."""
        found = self._object(number, line, _ROW)
        if found is None:
            return None
        row = Row(**found)
        failed = sum(row.failures.values())
        for what, encoded, wanted in (
            ("histogram", row.histogram, row.count - failed),
            ("failed_histogram", row.failed_histogram, failed),
        ):
            if (has := _count(encoded)) != wanted:
                self._problems.append(
                    (number, f"{what} has {has} values, but count and failures say {wanted}")
                )
        self._lines.setdefault(row.key, []).append(number)
        return row

    def once(self) -> None:
        """Find rows that are there twice: they would be counted twice."""
        for (kind, name, slot, worker), numbers in self._lines.items():
            for number in numbers[1:]:
                what = f"{kind} {name}, slot {slot} of {worker} is in line {numbers[0]} already"
                self._problems.append((number, what))

    def done(self) -> None:
        """Raise ResultError where anything was wrong."""
        if self._problems:
            raise ResultError(self._path, sorted(self._problems))

    def _object(self, number: int, line: str, checks: Mapping[str, Check]) -> dict[str, Any] | None:
        try:
            found = json.loads(line)
        except ValueError:
            found, wrong = None, ["is not JSON"]
        else:
            wrong = _mistakes(found, checks)
        self._problems += [(number, each) for each in wrong]
        return None if wrong else found


def _mistakes(found: Any, checks: Mapping[str, Check]) -> list[str]:
    if not isinstance(found, dict):
        return ["is no JSON object"]
    missing = [f"{name} is missing" for name in checks if name not in found]
    unknown = [f"{name} is unknown" for name in found if name not in checks]
    wrong = [
        f"{name} {what}"
        for name, value in found.items()
        if name in checks and (what := checks[name](value)) is not None
    ]
    return missing + unknown + wrong


def _count(encoded: str) -> int:
    histogram = Histogram()
    if encoded:
        histogram.add(encoded)
    return histogram.count
