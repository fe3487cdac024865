"""`rpe recheck`: saved runs judged again, with no network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rpe.cli.failing import Debug, told

__all__ = ["recheck"]


@told
def recheck(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="DIR", help="Run folders, or folders of run folders.", show_default=False),
    ],
    debug: Debug = False,
) -> None:
    """Judge saved runs again from their histories alone, and compare with the verdicts stored there.

    Ends with 1 where a stored verdict differs, else as `rpe run` would.
    """
    from rpe.chaos.result import exit_code
    from rpe.report.agreement import Rejudged, agreement
    from rpe.report.cell import overall
    from rpe.report.folders import find_runs, report_of
    from rpe.report.terminal import details, make_console

    runs = [
        Rejudged(report_of(folder, folder.judge()), folder.load_verdict()) for folder in find_runs(folders)
    ]
    reports = [run.fresh for run in runs]
    differ = sum(bool(run.differences) for run in runs)
    console = make_console()
    console.print(agreement(runs))
    console.print()
    console.print(details(reports), crop=False)
    told_differences = f"{differ} of {len(runs)} differ from what is stored" if differ else "all as stored"
    console.print(f"{overall(reports)}: {told_differences}", markup=False)
    raise typer.Exit(1 if differ else exit_code(overall(reports)))
