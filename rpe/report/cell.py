"""One judged cell, as every report is made from it: the verdict, and what the reader needs to repeat it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rpe.chaos.result import CheckResult, Status, merge
from rpe.chaos.verdict import Verdict

__all__ = ["CellReport", "counts", "first_failed", "measurement", "overall"]


@dataclass(frozen=True, slots=True)
class CellReport:
    """What one cell of one scenario came to.

    `cell` is the id of the cell, unique in a suite. `elapsed_s` is how long it ran, in
    seconds. `folder` is where its plan, history and verdict lie, and `repeat` is the command
    that runs it again. `waived` tells, check by check, what the scenario declares not
    applicable, and why. What is not known is empty, or None.
    """

    cell: str
    scenario: str
    theme: str
    subject: str
    proxy: str
    seed: int
    verdict: Verdict
    proves: str = ""
    elapsed_s: float | None = None
    folder: str = ""
    repeat: str = ""
    waived: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """The status of the verdict."""
        return self.verdict.status

    @property
    def broken(self) -> tuple[CheckResult, ...]:
        """The checks that did not pass, the failed ones first."""
        wrong = [check for check in self.verdict.checks if check.status is not Status.PASS]
        return tuple(sorted(wrong, key=lambda check: check.status is not Status.FAIL))


def overall(reports: Iterable[CellReport]) -> Status:
    """Return what they came to together: the worst of them, and unknown where there are none."""
    return merge(report.status for report in reports)


def counts(reports: Iterable[CellReport]) -> dict[Status, int]:
    """Return how many cells came to each status."""
    found = dict.fromkeys(Status, 0)
    for report in reports:
        found[report.status] += 1
    return found


def first_failed(report: CellReport) -> CheckResult | None:
    """Return the check to look at first, or None where every check passed (or none ran)."""
    return next(iter(report.broken), None)


def measurement(check: CheckResult) -> str:
    """Return what was measured and wanted; nothing where the summary of the check tells it already."""
    if check.wanted and check.wanted in check.summary:
        return ""
    measured = "" if check.measured is None else f"measured {check.measured:.6g}"
    return ", ".join(filter(None, (measured, check.wanted and f"wanted {check.wanted}")))
