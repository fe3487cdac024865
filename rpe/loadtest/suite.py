"""Runs of one plan, once or several times, each in a folder of its own, with their reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.loadtest.folder import LoadFolder
from rpe.loadtest.model import LoadPlan
from rpe.loadtest.reporting import report_of, write_reports
from rpe.loadtest.running import LoadOptions, run_load_plan
from rpe.report.cell import CellReport

__all__ = ["LoadSuite"]


@dataclass(frozen=True, slots=True)
class LoadSuite:
    """A plan, the file it is from, where its folder is made, and how often it runs.

    One run has the folder `<plan>-<time>` itself; of several each has `run-1`, `run-2`... in
    it, with seeds that follow each other, so that all of them can be compared with another suite.
    """

    plan: LoadPlan
    path: Path
    out: Path
    options: LoadOptions
    repeat: int = 1

    async def play(
        self, on_report: Callable[[CellReport], None], *, clock: Clock = SYSTEM_CLOCK
    ) -> LoadFolder:
        """Run one after the other, and tell of each as it is judged; return the folder of all.

        Cancelling it ends the run under way in good order, tells of it, and raises.
        """
        whole = LoadFolder.create(self.out, self.plan.name)
        for number in range(1, self.repeat + 1):
            folder = whole if self.repeat == 1 else whole.part(number)
            options = self._options(number)
            began_s = clock.now()
            try:
                await run_load_plan(self.plan, folder, options, clock=clock)
            finally:
                report = self._report(folder, options, clock.now() - began_s, number)
                if report is not None:
                    write_reports(folder, report)
                    on_report(report)
        return whole

    def _options(self, number: int) -> LoadOptions:
        options = self.options
        return LoadOptions(
            seed=options.seed + number - 1, base=options.base, proxy=options.proxy, tell=options.tell
        )

    def _report(
        self, folder: LoadFolder, options: LoadOptions, elapsed_s: float, number: int
    ) -> CellReport | None:
        verdict = folder.load_verdict()
        if verdict is None:
            return None
        return report_of(
            self.plan,
            verdict,
            folder,
            seed=options.seed,
            proxy=options.proxy,
            path=self.path,
            elapsed_s=elapsed_s,
            part="" if self.repeat == 1 else f"run-{number}",
        )
