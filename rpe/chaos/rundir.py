"""The folder of one run: its plan, its history, its verdict. What is in it is enough to judge it again."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Self

from rpe.chaos.history import History, HistoryError
from rpe.chaos.plan import Plan
from rpe.chaos.verdict import CheckResult, Status, Verdict, judge
from rpe.errors import ConfigurationError

__all__ = ["RunFolder", "recheck"]


class RunFolder:
    """`plan.json`, `history.jsonl`, `verdict.json` and `worker.log` of one run, in a folder of their own.

    On a wire with datagrams `draws.jsonl` says what became of each packet that met a fault.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, root: Path, stamp: str, cell: str) -> Self:
        """Make a new folder `<root>/<stamp>-<cell>`, with a number added where that exists already.

        Characters of the cell's id that are awkward in file names become hyphens.
        """
        name = f"{stamp}-{re.sub(r'[^A-Za-z0-9._=-]+', '-', cell).strip('-')}"[:200]
        root.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            path = root / (name if number == 1 else f"{name}-{number}")
            try:
                path.mkdir()
            except FileExistsError:
                number += 1
            else:
                return cls(path)

    @property
    def plan_path(self) -> Path:
        """Where the plan is."""
        return self.path / "plan.json"

    @property
    def history_path(self) -> Path:
        """Where the history is."""
        return self.path / "history.jsonl"

    @property
    def verdict_path(self) -> Path:
        """Where the verdict is."""
        return self.path / "verdict.json"

    @property
    def log_path(self) -> Path:
        """Where the worker's own output goes."""
        return self.path / "worker.log"

    def write_plan(self, plan: Plan) -> None:
        """Write the plan, whole or not at all."""
        _replace(self.plan_path, plan.to_json())

    def write_verdict(self, verdict: Verdict) -> None:
        """Write the verdict, whole or not at all."""
        _replace(self.verdict_path, verdict.to_json())

    def load_plan(self) -> Plan:
        """Read the plan; raises ConfigurationError where there is none that can be read."""
        try:
            return Plan.from_json(self.plan_path.read_bytes())
        except (OSError, ValueError) as error:
            raise _unusable(self.plan_path, error) from error

    def load_history(self) -> History:
        """Read the history; raises ConfigurationError where there is none, HistoryError if it is broken."""
        try:
            return History.load(self.history_path)
        except OSError as error:
            raise _unusable(self.history_path, error) from error

    def load_verdict(self) -> Verdict | None:
        """Read the verdict, or return None where the run never came to one."""
        try:
            return Verdict.from_json(self.verdict_path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise _unusable(self.verdict_path, error) from error

    def judge(self) -> Verdict:
        """Judge the run by its plan and its history alone; a history that cannot be read makes it unknown."""
        plan = self.load_plan()
        try:
            history = self.load_history()
        except HistoryError as error:
            result = CheckResult(name="history", status=Status.UNKNOWN, summary=error.message)
            return Verdict.of([result])
        return judge(history, plan)

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"


def recheck(path: Path) -> tuple[Verdict | None, Verdict]:
    """Judge a saved run again, with no network and no scenario file.

    Returns the stored verdict (None where the run never came to one) and the fresh one.
    Nothing is written. Raises ConfigurationError where the folder holds no run.
    """
    folder = RunFolder(path)
    return folder.load_verdict(), folder.judge()


def _replace(path: Path, text: str) -> None:
    """Write a file beside the old one and rename it, so that a reader never sees half of it."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _unusable(path: Path, error: Exception) -> ConfigurationError:
    reason = "it does not exist" if isinstance(error, FileNotFoundError) else str(error)
    return ConfigurationError(
        f"{path.name} of this run cannot be read: {reason}", hint=f"is {path.parent} a run folder?"
    )
