"""Run folders, as reports are made from them: found below a root, and read without judging."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rpe.chaos.rundir import RunFolder
from rpe.chaos.verdict import Verdict
from rpe.errors import ConfigurationError
from rpe.report.cell import CellReport

__all__ = ["find_runs", "load_report", "load_reports", "report_of"]


def find_runs(paths: Iterable[Path]) -> list[RunFolder]:
    """Return the run folders among and below some folders, sorted within each, none twice.

    Raises ConfigurationError where a path is no folder, or holds no run.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            raise ConfigurationError(f"{path} is not a folder", hint="name a run folder, or a folder of them")
        here = sorted(plan.parent for plan in path.rglob("plan.json"))
        if not here:
            raise ConfigurationError(
                f"no run lies in {path}",
                hint="a run folder holds plan.json and history.jsonl; `rpe run` makes them",
            )
        found.update(dict.fromkeys(here))
    return [RunFolder(path) for path in found]


def load_report(folder: RunFolder) -> CellReport:
    """Read what a run came to; a run that was never judged is unknown.

    Raises ConfigurationError where the plan or the verdict cannot be read.
    """
    return report_of(folder, folder.load_verdict() or Verdict.of(()))


def load_reports(root: Path) -> list[CellReport]:
    """Read every run below a folder; of several runs of one cell, the last counts (see `find_runs`)."""
    reports = [load_report(folder) for folder in find_runs([root])]
    return list({report.cell: report for report in reports}.values())


def report_of(folder: RunFolder, verdict: Verdict) -> CellReport:
    """Tell of a run folder with a verdict of the caller's. Raises ConfigurationError without a plan."""
    plan = folder.load_plan()
    start = _run_start(folder)
    return CellReport(
        cell=plan.cell,
        scenario=plan.scenario,
        theme=plan.theme,
        subject=str(start.get("subject", "")),
        proxy=str(start.get("proxy", "")),
        seed=plan.seed,
        verdict=verdict,
        proves=plan.proves,
        folder=str(folder.path),
        waived={allowance.check: allowance.because for allowance in plan.allow},
    )


def _run_start(folder: RunFolder) -> dict[str, Any]:
    """Return the first event of the history where it is the run's start; nothing where it cannot be read."""
    try:
        with folder.history_path.open(encoding="utf-8") as lines:
            event = json.loads(next(lines, "{}"))
    except (OSError, ValueError):
        return {}
    return event if isinstance(event, dict) and event.get("e") == "run.start" else {}
