"""One run of one cell, written down in a folder of its own and judged.

The plan is written before anything is started, the history while the run goes on, the
verdict at the end. Whatever ends the run, nothing is left running, and nothing is written
by half.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rpe.chaos.history import FINISHED, HistoryWriter
from rpe.chaos.options import Phase, Progress, ProgressCallback, RunOptions, RunOutcome
from rpe.chaos.performance import INTERRUPTED, Performance
from rpe.chaos.plan import Plan
from rpe.chaos.result import CheckResult, Status
from rpe.chaos.rundir import RunFolder
from rpe.chaos.scenario.matrix import Cell, without_faults
from rpe.chaos.verdict import Verdict
from rpe.chaos.versions import versions
from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import ConfigurationError

__all__ = ["new_folder", "not_finished", "run_cell"]

PROGRESS_S = 0.25
"""How often a run tells where it is."""


async def run_cell(
    cell: Cell,
    options: RunOptions,
    *,
    folder: RunFolder | None = None,
    on_progress: ProgressCallback | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> RunOutcome:
    """Run one cell and judge it.

    Arguments:
        cell: what is run.
        options: how.
        folder: where it is written down; by default a new one in `options.out`.
        on_progress: is told now and then where the run is.

    A run that did not go to its end is unknown, with the reason, and not judged any
    further. Cancelling it takes everything down, writes that verdict, and raises.
    Raises ConfigurationError where the folder holds a run already.
    """
    began_s = clock.now()
    if not options.faults:
        cell = replace(cell, scenario=without_faults(cell.scenario))
    plan = Plan.draw(cell, options.seed, versions=versions())
    folder = folder or new_folder(options.out, cell)
    if folder.history_path.exists():
        raise ConfigurationError(
            f"{folder.path} holds a run already", hint="give each run a folder of its own"
        )
    folder.write_plan(plan)
    verdict = not_finished(INTERRUPTED)
    try:
        with HistoryWriter(folder.history_path, clock, began_s) as writer:
            performance = Performance(cell, plan, options, writer, clock)
            tell = _teller(performance, plan, on_progress)
            reason = await _play(performance, tell, clock)
        tell("judging")
        verdict = folder.judge() if reason == FINISHED else not_finished(reason)
    finally:
        folder.write_verdict(verdict)
    tell("done")
    return RunOutcome(cell=cell.id, verdict=verdict, folder=folder.path, wall_s=clock.now() - began_s)


def new_folder(out: Path, cell: Cell) -> RunFolder:
    """Make the folder of a run, named by the time of day (the only use of it) and the cell."""
    return RunFolder.create(out, f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}", cell.id)


def not_finished(reason: str) -> Verdict:
    """The verdict of a run that did not go to its end."""
    summary = f"the run was ended early: {reason}"
    return Verdict.of([CheckResult(name="finished", status=Status.UNKNOWN, summary=summary)])


async def _play(performance: Performance, tell: _Tell, clock: Clock) -> str:
    """Play, and tell of it meanwhile; an error in the telling ends the run."""
    async with asyncio.TaskGroup() as tasks:
        telling = tasks.create_task(_tell_on(performance, tell, clock), name="progress")
        reason = await performance.play()
        telling.cancel()
    return reason


async def _tell_on(performance: Performance, tell: _Tell, clock: Clock) -> None:
    while True:
        tell(performance.phase)
        await clock.sleep(PROGRESS_S)


_Tell = Callable[[Phase], None]


def _teller(performance: Performance, plan: Plan, on_progress: ProgressCallback | None) -> _Tell:
    def tell(phase: Phase) -> None:
        if on_progress is None:
            return
        tally = performance.tally
        on_progress(
            Progress(
                cell=plan.cell,
                phase=phase,
                t_s=round(performance.now_s, 3),
                duration_s=plan.duration_s,
                ok=tally.ok,
                failed=tally.failed,
                missed=tally.missed,
                running=tally.running,
                faults=performance.active_faults,
            )
        )

    return tell
