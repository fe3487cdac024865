"""Many cells side by side, each in a worker process of its own.

A worker that crashes, or is silent for too long, costs its own cell only: that one is
unknown, with the end of its log. Cancelling the suite stops every worker and waits for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import IO

from rpe.chaos.job import Job
from rpe.chaos.nursery import Nursery, WorkerProcess, start_worker
from rpe.chaos.options import EMBEDDED, Progress, ProgressCallback, RunOptions, RunOutcome
from rpe.chaos.result import CheckResult, Status, exit_code
from rpe.chaos.rundir import RunFolder
from rpe.chaos.runner import new_folder
from rpe.chaos.scenario.matrix import Cell
from rpe.chaos.shielding import bring_to_end
from rpe.chaos.subject import load_subject
from rpe.chaos.verdict import Verdict
from rpe.chaos.world.links import new_prefix, sweep
from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import redact
from rpe.faults.driver import ProxyControlError, ToxiproxyDriver

__all__ = ["check_options", "run_suite"]

SILENCE_S = 30.0
"""How long a worker may say nothing. It tells of its progress four times a second."""

STOP_S = 20.0
"""How long a worker may take to heal and stop before it is killed."""

ALLOWANCE_S = 60.0
"""What a run may take beyond its own duration and its longest operation."""

VERDICTS = frozenset(exit_code(status) for status in Status)
"""The exit codes of workers that came to an end by themselves, and took everything back."""

OutcomeCallback = Callable[[RunOutcome], None]

LOG_LINES = 15


async def run_suite(
    cells: Sequence[Cell],
    jobs: int,
    options: RunOptions,
    on_progress: ProgressCallback | None = None,
    *,
    on_outcome: OutcomeCallback | None = None,
    nursery: Nursery | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> list[RunOutcome]:
    """Run all cells, at most `jobs` at once, and return what they came to, in their order.

    A cell that cannot be judged because the machine stood still is run once more.

    Arguments:
        on_progress: is told where each cell is; the first time, that it waits.
        on_outcome: is told what a cell came to, as soon as it did.
        nursery: what workers are forked from; by default one of this suite's own, where it has more
            than one cell.

    Raises ConfigurationError and ProxyUnreachable before anything runs, where the client
    or the proxy cannot be had at all.
    """
    await check_options(options)
    turns = asyncio.Semaphore(max(1, jobs))
    own = None
    if nursery is None and len(cells) > 1:
        nursery = own = Nursery((cell.transport for cell in cells), options.subject)
    start = start_worker if nursery is None else nursery.start_worker

    async def run(cell: Cell) -> RunOutcome:
        async with turns:
            outcome = await _run_worker(cell, options, on_progress, start, clock)
            if outcome.verdict.stood_still:
                outcome = await _run_worker(cell, options, on_progress, start, clock)
        if on_outcome is not None:
            on_outcome(outcome)
        return outcome

    # The longest begin, so that none of them is left to run alone in the end.
    longest_first = sorted(range(len(cells)), key=lambda number: -cells[number].scenario.duration_s)
    if on_progress is not None:
        for cell in cells:
            on_progress(Progress(cell=cell.id, phase="waiting", duration_s=cell.scenario.duration_s))
    async with own or nullcontext(), asyncio.TaskGroup() as tasks:
        running = {
            number: tasks.create_task(run(cells[number]), name=cells[number].id) for number in longest_first
        }
    return [running[number].result() for number in range(len(cells))]


async def check_options(options: RunOptions) -> None:
    """Raise ConfigurationError where the client is not known, ProxyUnreachable where no proxy answers."""
    load_subject(options.subject)
    if options.proxy != EMBEDDED:
        async with ToxiproxyDriver(options.proxy) as driver:
            await driver.version()


async def _run_worker(
    cell: Cell,
    options: RunOptions,
    on_progress: ProgressCallback | None,
    start: Callable[[IO[bytes]], Awaitable[WorkerProcess]],
    clock: Clock,
) -> RunOutcome:
    began_s = clock.now()
    folder = new_folder(options.out, cell)
    options = replace(options, proxy_prefix=new_prefix())
    with folder.log_path.open("ab") as log:
        process = await start(log)
    trouble = ""
    try:
        # The input stays open: its end would tell the worker that nobody waits for it any more.
        assert process.stdin is not None
        process.stdin.write(Job(cell, options, folder.path).to_json().encode() + b"\n")
        trouble = await _follow(process, cell, on_progress, clock)
    finally:
        await bring_to_end(_stop(process, options, clock))
    verdict = None if trouble else folder.load_verdict()
    if verdict is None:
        trouble = trouble or f"the worker crashed with exit code {process.returncode}"
        verdict = _crashed(trouble, folder)
        folder.write_verdict(verdict)
    return RunOutcome(cell=cell.id, verdict=verdict, folder=folder.path, wall_s=clock.now() - began_s)


async def _follow(
    process: WorkerProcess, cell: Cell, on_progress: ProgressCallback | None, clock: Clock
) -> str:
    """Read a worker's progress until it ends. Returns what is wrong with it, or nothing."""
    assert process.stdout is not None
    scenario = cell.scenario
    sessions = [load for load in scenario.workload if load.kind == "stream"]
    longest_s = max((load.chunks * load.chunk_ms / 1000 for load in sessions), default=0.0)
    until_s = clock.now() + scenario.duration_s + longest_s + scenario.client.timeout_s + ALLOWANCE_S
    while True:
        silent_at_s = clock.now() + SILENCE_S
        try:
            async with clock.deadline(min(silent_at_s, until_s)):
                line = await process.stdout.readline()
        except TimeoutError:
            if clock.now() >= until_s:
                return "the worker did not come to an end"
            return f"the worker said nothing for {SILENCE_S:g} s"
        if not line:
            return ""
        with suppress(ValueError, TypeError, KeyError):
            told = json.loads(line)
            progress = Progress(**{**told, "cell": cell.id, "faults": tuple(told["faults"])})
            if on_progress is not None:
                on_progress(progress)


async def _stop(process: WorkerProcess, options: RunOptions, clock: Clock) -> None:
    """Wait for a worker's end; ask it to stop where it goes on, and kill it where that does not help.

    What a worker that died left on a proxy server elsewhere is taken back.
    """
    assert process.stdin is not None and process.stdout is not None
    if process.returncode is None and not process.stdout.at_eof():
        with suppress(ProcessLookupError):
            process.terminate()
    try:
        async with clock.deadline(clock.now() + STOP_S):
            await process.wait()
    except TimeoutError:
        # Its session holds the fake servers that it started.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    process.stdin.close()
    if options.proxy != EMBEDDED and process.returncode not in VERDICTS:
        with suppress(ProxyControlError):
            async with ToxiproxyDriver(options.proxy) as driver:
                await sweep(driver, options.proxy_prefix)


def _crashed(trouble: str, folder: RunFolder) -> Verdict:
    """The verdict of a cell whose worker did not come to one, with the end of its log."""
    try:
        lines = folder.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    tail = tuple(redact(line) for line in lines[-LOG_LINES:])
    return Verdict.of([CheckResult(name="worker", status=Status.UNKNOWN, summary=trouble, evidence=tail)])
