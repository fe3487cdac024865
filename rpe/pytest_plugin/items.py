"""The tests that pytest makes of scenario files. Imported once one is found."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rpe.chaos.options import RunOptions
from rpe.chaos.result import Status
from rpe.chaos.scenario.loading import load
from rpe.chaos.scenario.matrix import Cell
from rpe.chaos.subject import load_subject
from rpe.chaos.suite import run_suite
from rpe.errors import RpeError, redact
from rpe.report.cell import CellReport
from rpe.report.outcome import report_of_outcome
from rpe.report.terminal import details

__all__ = ["CellItem", "NotPassed", "ScenarioCollector", "mark_names"]

BUILT_IN_MARKS = frozenset({"skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings", "rpe"})
"""Marks that mean something of their own, and so are not made of a theme or a value."""

_MARK = re.compile(r"[A-Za-z][\w.-]*")
_REPORT_WIDTH = 120


class NotPassed(Exception):
    """A cell came to fail or unknown."""

    def __init__(self, report: CellReport) -> None:
        super().__init__(f"{report.cell}: {report.status}")
        self.report = report


class ScenarioCollector(pytest.File):
    """A scenario file; its cells are its tests."""

    def collect(self) -> Iterator[CellItem]:
        """Read the file. Each mistake in it is told with its line, as an error of collection."""
        try:
            _check_client(self.config.getoption("--rpe-client"))
            cells = load(self.path).cells
        except RpeError as error:
            raise self.CollectError(str(error)) from error
        for cell in cells:
            yield CellItem.from_parent(self, name=cell.id, cell=cell)


class CellItem(pytest.Item):
    """One cell. Marked with `rpe`, and with its theme and the text values of its matrix."""

    def __init__(self, *, cell: Cell, **rest: Any) -> None:
        super().__init__(**rest)
        self.cell = cell
        values = {re.sub(r"\W", "_", key): value for key, value in cell.values.items()}
        self.add_marker(pytest.mark.rpe(**{**values, "theme": cell.theme}))
        for name in mark_names(cell):
            self.config.addinivalue_line("markers", f"{name}: a theme or a matrix value of rpe scenarios")
            self.add_marker(name)

    def runtest(self) -> None:
        """Run the cell in a process of its own. Raises NotPassed for fail and unknown."""
        options = self._options()
        self.user_properties.append(("rpe_seed", options.seed))
        (outcome,) = asyncio.run(run_suite([self.cell], 1, options))
        path = Path(os.path.relpath(self.path, self.config.invocation_params.dir))
        report = report_of_outcome(outcome, self.cell, path, options)
        self.user_properties += [("rpe_verdict", report.status.value), ("rpe_folder", report.folder)]
        if report.status is not Status.PASS:
            raise NotPassed(report)

    def _options(self) -> RunOptions:
        from rpe.pytest_plugin import root_seed

        return RunOptions(
            out=Path(self.config.getoption("--rpe-out")),
            seed=root_seed(self.config),
            subject=self.config.getoption("--rpe-client"),
            proxy=self.config.getoption("--rpe-proxy"),
        )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Tell of a cell by its broken checks and their evidence, of wrong use by its message."""
        error = excinfo.value
        if isinstance(error, NotPassed):
            console = Console(width=_REPORT_WIDTH, color_system=None)
            with console.capture() as capture:
                console.print(details([error.report]), crop=False)
            return "\n".join(line.rstrip() for line in capture.get().strip().splitlines())
        if isinstance(error, RpeError):
            return redact(str(error))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the file, and the id of the cell."""
        return self.path, 0, self.cell.id


def _check_client(name: str) -> None:
    """Raise ConfigurationError for a client that is not there; `module:factory` may lie in this folder."""
    kept = list(sys.path)
    sys.path.insert(0, "")
    try:
        load_subject(name)
    finally:
        sys.path[:] = kept


def mark_names(cell: Cell) -> list[str]:
    """Return the names of the marks that a cell gets beside `rpe`."""
    words = [cell.theme, *(value for value in cell.values.values() if isinstance(value, str))]
    return [word for word in dict.fromkeys(words) if _MARK.fullmatch(word) and word not in BUILT_IN_MARKS]
