"""Running cells of this repository's scenarios, through worker processes as the command line does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from rpe.chaos.nursery import Nursery
from rpe.chaos.options import RunOptions, RunOutcome
from rpe.chaos.rundir import RunFolder
from rpe.chaos.scenario.loading import discover
from rpe.chaos.scenario.matrix import Cell
from rpe.chaos.suite import run_suite
from rpe.chaos.verdict import CheckResult, Status, Verdict

__all__ = ["ROOT", "SEED", "cell", "cells", "failed", "run", "summary", "themes"]

ROOT = Path(__file__).resolve().parents[2]

SEED = 7
"""The root of all chance in these runs: the same in each of them, so that a red one can be had again."""

AT_ONCE = 3
"""How many cells of one test run side by side. They mostly sleep, but pytest-xdist multiplies them."""

STOOD_STILL_S = 0.15
"""Where the operations of an open loop begin so late, it was the machine that was slow."""

ATTEMPTS = 3


@cache
def cells() -> dict[str, Cell]:
    """Return one cell of each scenario by its name: the first on gRPC, which every client here speaks."""
    found: dict[str, Cell] = {}
    for file in discover([ROOT / "scenarios"]):
        for one in file.cells:
            if one.transport == "grpc":
                found.setdefault(one.scenario.name, one)
    return found


def cell(scenario: str) -> Cell:
    """Return the cell of a scenario."""
    return cells()[scenario]


def themes() -> dict[str, list[Cell]]:
    """Return the cells by the folder of their scenario."""
    found: dict[str, list[Cell]] = {}
    for one in cells().values():
        found.setdefault(one.theme, []).append(one)
    return found


async def run(
    rows: Sequence[tuple[str, Cell]],
    out: Path,
    *,
    at_once: int = AT_ONCE,
    faults: bool = True,
    proxy: str = "embedded",
    seed: int = SEED,
    to_pass: bool = False,
) -> list[RunOutcome]:
    """Run each cell with its client, some side by side, and return the outcomes in the order of the rows.

    A run during which the machine stood still says nothing, whatever it came to, and is made again.
    With `to_pass`, so is one that does not pass: on a shared machine only twice in a row is no accident.
    """
    turns = asyncio.Semaphore(at_once)

    async def one(client: str, wanted: Cell) -> RunOutcome:
        options = RunOptions(out=out, seed=seed, subject=client, faults=faults, proxy=proxy)
        async with turns:
            for _ in range(ATTEMPTS):
                (outcome,) = await run_suite([wanted], 1, options, nursery=nursery)
                if not _stood_still(outcome):
                    break
            if to_pass and outcome.verdict.status is not Status.PASS:
                (outcome,) = await run_suite([wanted], 1, options, nursery=nursery)
        return outcome

    nursery = Nursery((wanted.transport for _, wanted in rows), "rpe")
    async with nursery, asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one(client, wanted)) for client, wanted in rows]
    return [task.result() for task in running]


def _stood_still(outcome: RunOutcome) -> bool:
    if outcome.folder is None:
        return False
    started = RunFolder(outcome.folder).load_history().operations.values()
    return any(operation.started_s - operation.due_s > STOOD_STILL_S for operation in started)


def failed(verdict: Verdict, name: str) -> bool:
    """Say whether a check of that name failed; one that could not tell has not."""
    return any(check.name == name and check.status is Status.FAIL for check in verdict.checks)


def summary(verdict: Verdict) -> str:
    """Tell a verdict in a few lines, for the message of a failed assertion."""
    return "\n".join([str(verdict.status), *map(_told, verdict.checks)])


def _told(check: CheckResult) -> str:
    evidence = "" if check.status is Status.PASS else "".join(f"\n      {line}" for line in check.evidence)
    return f"  {check.status} {check.name}: {check.summary}{evidence}"
