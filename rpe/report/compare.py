"""The verdict table of several subjects: which client survives which scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rpe.chaos.result import Status
from rpe.report.cell import CellReport, counts, first_failed
from rpe.report.folders import load_reports
from rpe.report.markdown import escaped, mark

__all__ = ["compare_folders", "comparison"]


def compare_folders(roots: Mapping[str, Path]) -> str:
    """Return the table of the runs that lie below a folder per subject (see `comparison`).

    Raises ConfigurationError where a folder holds no run, or one that cannot be read.
    """
    return comparison({name: load_reports(root) for name, root in roots.items()})


def comparison(subjects: Mapping[str, Sequence[CellReport]]) -> str:
    """Return the table in Markdown: a row per cell, a column per subject, in the order given.

    Each entry tells the verdict and, where it is not a pass, the first check that broke. A
    cell that a subject was not run with is shown as a dash. The last row counts the passes.
    """
    columns = {name: {report.cell: report for report in reports} for name, reports in subjects.items()}
    cells = list(dict.fromkeys(cell for column in columns.values() for cell in column))
    lines = [
        _line(["cell", *(escaped(name) for name in columns)]),
        "|---" * (len(columns) + 1) + "|",
        *(
            _line([escaped(cell), *(_entry(column.get(cell)) for column in columns.values())])
            for cell in cells
        ),
        _line(["**passed**", *(_passed(list(column.values())) for column in columns.values())]),
    ]
    return "\n".join(lines) + "\n"


def _line(entries: Sequence[str]) -> str:
    return f"| {' | '.join(entries)} |"


def _entry(report: CellReport | None) -> str:
    if report is None:
        return "—"
    check = first_failed(report)
    return f"{mark(report.status)}: {escaped(check.name)}" if check is not None else mark(report.status)


def _passed(reports: Sequence[CellReport]) -> str:
    return f"{counts(reports)[Status.PASS]} of {len(reports)}"
