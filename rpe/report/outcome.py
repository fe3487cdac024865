"""The report of a cell that has just run."""

from __future__ import annotations

from pathlib import Path

from rpe.chaos.options import RunOptions, RunOutcome
from rpe.chaos.scenario.matrix import Cell
from rpe.report.cell import CellReport
from rpe.report.repeat import repeat_command

__all__ = ["report_of_outcome"]


def report_of_outcome(outcome: RunOutcome, cell: Cell, path: Path, options: RunOptions) -> CellReport:
    """Tell of a cell: `path` is the file it is from, `options` are those that it ran with."""
    return CellReport(
        cell=cell.id,
        scenario=cell.scenario.name,
        theme=cell.theme,
        subject=options.subject,
        proxy=options.proxy,
        seed=options.seed,
        verdict=outcome.verdict,
        proves=cell.scenario.proves,
        elapsed_s=None if outcome.folder is None else outcome.wall_s,
        folder="" if outcome.folder is None else str(outcome.folder),
        repeat=repeat_command(
            str(path), cell.id, seed=options.seed, proxy=options.proxy, subject=options.subject
        ),
        waived={allowance.check: allowance.because for allowance in cell.scenario.allow},
    )
