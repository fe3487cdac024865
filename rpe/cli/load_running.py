"""What `rpe load FILE.yaml` does: run the plan, say meanwhile where it is, and report what it came to."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from rpe.chaos.options import RunOptions
from rpe.chaos.result import Status, exit_code
from rpe.chaos.suite import check_options
from rpe.cli.writing import ReportFiles, make_folder
from rpe.errors import ConfigurationError
from rpe.loadtest.folder import LoadFolder
from rpe.loadtest.judging import judge
from rpe.loadtest.model import LoadPlan
from rpe.loadtest.reporting import report_of
from rpe.loadtest.running import LoadOptions
from rpe.loadtest.suite import LoadSuite
from rpe.report.agreement import Rejudged, agreement
from rpe.report.cell import CellReport, overall
from rpe.report.terminal import details, make_console, show
from rpe.report.text import one_line

__all__ = ["LoadRequest", "recheck_load", "run_load"]

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest:
    """What was asked of `rpe load`."""

    plan: LoadPlan
    path: Path
    out: Path
    seed: int
    proxy: str
    repeat: int
    files: ReportFiles = field(default_factory=ReportFiles)


def run_load(request: LoadRequest) -> int:
    """Run a plan and report it; return the exit code, which after an interruption is that of unknown.

    What is wrong with the request raises ConfigurationError before anything is started.
    """
    plan = request.plan
    asyncio.run(check_options(RunOptions(out=request.out, proxy=request.proxy)))
    request.files.prepare()
    make_folder(request.out)
    console = make_console()

    def tell(words: str) -> None:
        console.print(f"  {words}", markup=False, style="dim", soft_wrap=True)

    by = f"{plan.workers} workers" if plan.workers > 1 else "1 worker" if plan.workers else "one process"
    about = f"{plan.name}, {plan.duration_s} s of load by {by}, proxy {request.proxy}, seed {request.seed}"
    console.print(f"rpe load: {about}", markup=False, soft_wrap=True)
    suite = LoadSuite(
        plan,
        request.path,
        request.out,
        LoadOptions(seed=request.seed, base=request.path.parent, proxy=request.proxy, tell=tell),
        request.repeat,
    )
    reports: list[CellReport] = []
    interrupted = asyncio.run(_play(suite, reports, console))
    for report in reports:
        _show_checks(console, report)
    show(console, reports, seed=request.seed)
    for report in reports:
        console.print(f"report: {Path(report.folder) / 'report.md'}", markup=False, soft_wrap=True)
    request.files.write(reports, seed=request.seed, environment=os.environ)
    if request.files.markdown is not None:
        _write_pages(request.files.markdown, reports)
    if interrupted:
        console.print("interrupted: not everything was judged, so nothing is proven")
        return exit_code(Status.UNKNOWN)
    return exit_code(overall(reports))


async def _play(suite: LoadSuite, reports: list[CellReport], console: Console) -> bool:
    """Run everything. Returns whether SIGINT or SIGTERM ended that early; nothing runs on then."""
    run = asyncio.ensure_future(suite.play(reports.append))

    def interrupt() -> None:
        # Said at once, because ending takes a moment; further signals change nothing.
        if run.cancel():
            console.print("interrupted: faults are being healed, and every process is being stopped")

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


def _show_checks(console: Console, report: CellReport) -> None:
    """Print every check in a line, those that passed too: the figures are what a load test is run for."""
    for check in report.verdict.checks:
        line = f"  {check.status:<8} {one_line(check.name)}: {one_line(check.summary)}"
        console.print(line, markup=False, soft_wrap=True)
    console.print()


def _write_pages(path: Path, reports: Sequence[CellReport]) -> None:
    """Write the whole pages of all runs into one file."""
    pages = [LoadFolder(Path(report.folder)).report_path.read_text(encoding="utf-8") for report in reports]
    path.write_text("\n".join(pages), encoding="utf-8")


def recheck_load(folders: Sequence[Path]) -> int:
    """Judge saved runs again, show what they come to, and return the exit code.

    Raises ConfigurationError where a folder holds no run.
    """
    runs: list[Rejudged] = []
    for folder in _runs_in(folders):
        files = LoadFolder(folder)
        seed, proxy = files.told_at_start()
        report = report_of(files.load_plan(), judge(folder), files, seed=seed, proxy=proxy)
        runs.append(Rejudged(report, files.load_verdict()))
    reports = [run.fresh for run in runs]
    differ = sum(bool(run.differences) for run in runs)
    console = make_console()
    console.print(agreement(runs))
    console.print()
    console.print(details(reports), crop=False)
    told_differences = f"{differ} of {len(runs)} differ from what is stored" if differ else "all as stored"
    console.print(f"{overall(reports)}: {told_differences}", markup=False)
    return 1 if differ else exit_code(overall(reports))


def _runs_in(folders: Sequence[Path]) -> Iterator[Path]:
    """Find the run folders: those that are named, and those below them."""
    for folder in folders:
        found = sorted(plan.parent for plan in folder.rglob("plan.yaml"))
        if not found:
            raise ConfigurationError(
                f"{folder} holds no load run", hint="name a folder that `rpe load FILE.yaml` has made"
            )
        yield from found
