"""Which cells a command is about: the files that were named, and what a filter leaves of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rpe.chaos.content import content_path
from rpe.chaos.filtering import compile_filter
from rpe.chaos.result import Status
from rpe.chaos.scenario.loading import discover
from rpe.chaos.scenario.matrix import Cell
from rpe.errors import ConfigurationError
from rpe.report.folders import load_reports

__all__ = ["Selected", "default_path", "listing", "select", "which_did_not_pass"]

CONTENT = "scenarios"
"""The folder of scenarios, in a project of the reader's as in rpe itself."""


@dataclass(frozen=True, slots=True)
class Selected:
    """A cell, and the file it is from."""

    cell: Cell
    path: Path


def default_path() -> Path:
    """Return the folder that is meant where none is named: `scenarios` here, else the built-in ones."""
    here = Path(CONTENT)
    return here if here.is_dir() else content_path(CONTENT)


def select(paths: Sequence[Path], expression: str = "") -> list[Selected]:
    """Return the cells of all scenarios in the paths that match the filter, in the order of the paths.

    Beside the words of the cell, its whole id can be matched. Raises ScenarioError where a
    scenario cannot be used, FilterError where the filter cannot be read, and ConfigurationError
    where nothing is left.
    """
    matches = compile_filter(expression)
    files = discover(paths or [default_path()])
    found = [Selected(cell, file.path) for file in files for cell in file.cells]
    selected = [each for each in found if matches([*each.cell.words, each.cell.id])]
    if not selected:
        raise ConfigurationError(
            f"none of {len(found)} cells matches the filter {expression!r}",
            hint="`rpe run --list` shows their names",
        )
    return selected


def which_did_not_pass(selected: Sequence[Selected], runs: Path) -> list[Selected]:
    """Return the cells whose last run below a folder was judged as anything but a pass.

    Raises ConfigurationError where there is no run, or none of these cells is left.
    """
    status = {report.cell: report.verdict.status for report in load_reports(runs)}
    left = [each for each in selected if status.get(each.cell.id, Status.PASS) is not Status.PASS]
    if not left:
        raise ConfigurationError(
            f"no cell is left: none of these was run in {runs} and did not pass",
            hint="leave --last-failed out",
        )
    return left


def listing(selected: Sequence[Selected]) -> str:
    """Return a line per cell: its id, its theme, how long it runs, and what it proves."""
    rows = [
        (each.cell.id, each.cell.theme, f"{each.cell.scenario.duration_s:g} s", each.cell.scenario.proves)
        for each in selected
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{name:<{widths[0]}}  {theme:<{widths[1]}}  {duration:>{widths[2]}}  {proves}"
        for name, theme, duration, proves in rows
    )
