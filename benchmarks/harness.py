"""What every benchmark shares: rows with a target, medians, and a server in a process of its own.

Figures are ratios or differences within one run, against another arm of the same run; each
table carries a null arm (the same thing twice), whose spread is the noise floor.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from random import Random
from typing import Any, TypeVar

import uvloop

__all__ = [
    "Row",
    "Sample",
    "in_turn",
    "measure_shuffled",
    "median",
    "percentile",
    "run_on",
    "server_process",
    "table",
]

Arm = Callable[[], Awaitable[object]]
T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """One figure: what it is, what was measured, what was aimed at, and whether that was met."""

    name: str
    figure: str
    target: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Sample:
    """One arm's calls: their wall times and the loop's CPU times, in seconds."""

    wall_s: list[float]
    cpu_s: list[float]

    @property
    def p50_s(self) -> float:
        return median(self.wall_s)

    @property
    def cpu_p50_s(self) -> float:
        return median(self.cpu_s)


def median(values: list[float]) -> float:
    return statistics.median(values)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def in_turn(arms: Sequence[Callable[[], Awaitable[T]]]) -> Callable[[], Awaitable[T]]:
    """One arm out of several that take turns."""
    turn = cycle(arms)

    def call() -> Awaitable[T]:
        return next(turn)()

    return call


def run_on(loop: str, work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a new loop: `asyncio`, Python's own, or `uvloop`."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if loop == "uvloop" else None) as runner:
        return runner.run(work)


async def measure_shuffled(arms: Mapping[str, Arm], *, calls: int, seed: int = 7) -> dict[str, Sample]:
    """Call every arm `calls` times, in an order shuffled call by call, one at a time."""
    for arm in arms.values():
        for _ in range(50):
            await arm()
    order = [name for name in arms for _ in range(calls)]
    Random(seed).shuffle(order)
    samples = {name: Sample([], []) for name in arms}
    for name in order:
        cpu_s = time.thread_time()
        began_s = time.perf_counter()
        await arms[name]()
        samples[name].wall_s.append(time.perf_counter() - began_s)
        samples[name].cpu_s.append(time.thread_time() - cpu_s)
        await asyncio.sleep(0)
    return samples


@contextmanager
def server_process(module: str, *arguments: str) -> Iterator[list[str]]:
    """Run `python -m module` beside this process; yields the words of its first line, its addresses."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        if process.stdout is None:
            raise RuntimeError("a server process without output")
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{module} did not start")
        yield line.split()
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait(timeout=10)
        if process.stdout is not None:
            process.stdout.close()


def table(rows: list[Row]) -> str:
    """Return rows as a Markdown table."""
    verdicts = {True: "met", False: "**missed**", None: ""}
    lines = ["| figure | measured | target | |", "|---|---|---|---|"]
    lines += [f"| {row.name} | {row.figure} | {row.target} | {verdicts[row.met]} |" for row in rows]
    return "\n".join(lines)
