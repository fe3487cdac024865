"""Stored verdicts beside fresh ones: does a saved run still come to what it came to?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from rpe.chaos.result import CheckResult
from rpe.chaos.verdict import Verdict
from rpe.report.cell import CellReport
from rpe.report.terminal import status_text
from rpe.report.text import one_line

__all__ = ["Rejudged", "agreement"]


@dataclass(frozen=True, slots=True)
class Rejudged:
    """A saved run: `stored` is the verdict in its folder, None where there is none; `fresh` is judged now."""

    fresh: CellReport
    stored: Verdict | None

    @property
    def differences(self) -> tuple[str, ...]:
        """How the two differ, check by check; nothing where they agree, or where nothing was stored.

        Wording does not count, only what each check came to.
        """
        if self.stored is None:
            return ()
        before, after = _statuses(self.stored.checks), _statuses(self.fresh.verdict.checks)
        changed = [
            f"{name}: {before.get(name, 'not there')} -> {after.get(name, 'not there')}"
            for name in dict.fromkeys([*before, *after])
            if before.get(name) != after.get(name)
        ]
        if not changed and self.stored.status is not self.fresh.status:
            changed = [f"the verdict: {self.stored.status} -> {self.fresh.status}"]
        return tuple(changed)


def _statuses(checks: Sequence[CheckResult]) -> dict[str, str]:
    """Return what each check came to, by name; checks of one name are numbered."""
    found: dict[str, str] = {}
    for check in checks:
        name, number = check.name, 1
        while name in found:
            number += 1
            name = f"{check.name} #{number}"
        found[name] = check.status.value
    return found


def agreement(runs: Sequence[Rejudged]) -> Table:
    """Return the table: a row per run, with both verdicts and how they differ."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("cell", "stored", "fresh", "differs", "folder"):
        table.add_column(name, overflow="fold")
    for run in runs:
        stored = Text("none", "dim") if run.stored is None else status_text(run.stored.status)
        table.add_row(
            Text(one_line(run.fresh.cell)),
            stored,
            status_text(run.fresh.status),
            Text("; ".join(map(one_line, run.differences)), "bold red"),
            Text(one_line(run.fresh.folder), "dim"),
        )
    return table
