"""What `rpe run` does: run the selected cells, show them meanwhile, and report what they came to."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom

from rpe.chaos.options import RunOptions, RunOutcome
from rpe.chaos.result import CheckResult, Status, exit_code
from rpe.chaos.suite import check_options, run_suite
from rpe.chaos.verdict import Verdict
from rpe.cli.selecting import Selected
from rpe.cli.writing import ReportFiles, make_folder
from rpe.report.board import Board
from rpe.report.cell import CellReport, overall
from rpe.report.live import SuiteDisplay, display_for
from rpe.report.outcome import report_of_outcome
from rpe.report.terminal import make_console, show
from rpe.report.text import counted

__all__ = ["CELLS_PER_CORE", "Request", "SuiteRun", "default_jobs", "draw_seed", "run_selected"]

CELLS_PER_CORE = 3
"""How many cells run at a time for each core: they mostly wait, but more would measure each other's load."""

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)

_INTERRUPTED = Verdict.of(
    [
        CheckResult(
            name="interrupted",
            status=Status.UNKNOWN,
            summary="the run was interrupted before this cell was judged",
        )
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked of `rpe run`; None stands for what is decided here."""

    selected: Sequence[Selected]
    proxy: str
    client: str
    seed: int | None
    jobs: int | None
    out: Path
    files: ReportFiles = field(default_factory=ReportFiles)


def default_jobs() -> int:
    """Return how many cells run at a time where nobody says: by the cores that this process may use."""
    return max(1, len(os.sched_getaffinity(0)) * CELLS_PER_CORE)


def draw_seed() -> int:
    """Return a root seed that is short enough to be read out."""
    return SystemRandom().randrange(2**32)


def run_selected(request: Request) -> int:
    """Run the cells and report them; return the exit code, which after an interruption is that of unknown.

    What is wrong with the request raises before anything is started: ConfigurationError for
    the client and the files, ProxyUnreachable for the proxy.
    """
    _find_modules_here()
    seed = draw_seed() if request.seed is None else request.seed
    options = RunOptions(out=request.out, seed=seed, subject=request.client, proxy=request.proxy)
    asyncio.run(check_options(options))
    request.files.prepare()
    make_folder(request.out)
    console = make_console()
    jobs = request.jobs or default_jobs()
    many = counted(len(request.selected), "cell")
    about = f"{many}, {jobs} at a time, client {options.subject}, proxy {options.proxy}, seed {seed}"
    console.print(f"rpe run: {about}", markup=False, soft_wrap=True)
    suite = SuiteRun(request.selected, options)
    display = display_for(console, Board([each.cell.id for each in request.selected]))
    interrupted = asyncio.run(suite.play(jobs, display))
    reports = suite.reports()
    show(console, reports, seed=seed, details_of=suite.judged())
    request.files.write(reports, seed=seed, environment=os.environ)
    if interrupted:
        console.print("interrupted: not everything was judged, so nothing is proven")
        return exit_code(Status.UNKNOWN)
    return exit_code(overall(reports))


def _find_modules_here() -> None:
    """Let `module:factory` name a module of this folder, as `python -m` and the workers do."""
    if "" not in sys.path:
        sys.path.insert(0, "")


class SuiteRun:
    """The cells of one request while they run, and what each has come to."""

    def __init__(self, selected: Sequence[Selected], options: RunOptions) -> None:
        self._selected = selected
        self._options = options
        self._outcomes: dict[str, RunOutcome] = {}

    async def play(self, jobs: int, display: SuiteDisplay) -> bool:
        """Run all cells. Returns whether SIGINT or SIGTERM ended that early; nothing runs on then."""
        cells = [each.cell for each in self._selected]

        def judged(outcome: RunOutcome) -> None:
            self._outcomes[outcome.cell] = outcome
            display.judged(outcome.cell, outcome.verdict.status, outcome.wall_s)

        with display:
            run = asyncio.ensure_future(
                run_suite(cells, jobs, self._options, display.update, on_outcome=judged)
            )

            def interrupt() -> None:
                # Said at once, because healing takes a moment; further signals change nothing.
                if run.cancel():
                    display.say("interrupted: every fault is being healed, every process is being stopped")

            loop = asyncio.get_running_loop()
            for number in _INTERRUPTS:
                loop.add_signal_handler(number, interrupt)
            try:
                await run
            except asyncio.CancelledError:
                return True
            finally:
                for number in _INTERRUPTS:
                    loop.remove_signal_handler(number)
        return False

    def reports(self) -> list[CellReport]:
        """Return the reports of all cells; what has not been judged is unknown."""
        return [self._report(each) for each in self._selected]

    def judged(self) -> list[CellReport]:
        """Return the reports of the cells that have been judged."""
        return [self._report(each) for each in self._selected if each.cell.id in self._outcomes]

    def _report(self, each: Selected) -> CellReport:
        cell = each.cell.id
        none = RunOutcome(cell=cell, verdict=_INTERRUPTED, folder=None, wall_s=0.0)
        return report_of_outcome(self._outcomes.get(cell, none), each.cell, each.path, self._options)
