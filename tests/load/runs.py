"""Locust as a process of its own, as its users start it. Importing it here would patch the test runner."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import psutil

from rpe.fakes import Kind
from rpe.fakes.journal import Entry

__all__ = [
    "HEADLESS",
    "LIMIT_S",
    "LOADTESTS",
    "LOCUST",
    "Run",
    "at_once",
    "engine_of",
    "finished",
    "locust",
    "run_locust",
]

LOADTESTS = Path(__file__).resolve().parents[2] / "loadtests"
LOCUST = ("-m", "locust", "-f")
HEADLESS = ("--headless", "--only-summary", "--json")
LIMIT_S = 40


@dataclass
class Run:
    """What a run left: its exit code, and what it printed, with Locust's own statistics in it."""

    code: int
    output: str

    @cached_property
    def stats(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Locust's statistics by kind and name. (Workers print theirs too, and end before their master.)"""
        _, found, text = f"\n{self.output}".rpartition("\n[\n")
        assert found, self.output
        entries, _ = json.JSONDecoder().raw_decode("[" + text)
        return {(entry["method"], entry["name"]): entry for entry in entries}

    @property
    def failures(self) -> list[tuple[int, str]]:
        """How often each failure occurred, with its kind, name and text.

        Locust prints its report twice where it was ended by SIGTERM.
        """
        _, _, report = self.output.partition("# occurrences")
        found = re.findall(r"^(\d+) +(\S.*?) *$", report, re.MULTILINE)
        return [(int(times), text) for times, text in dict.fromkeys(found)]

    def requests(self, kind: str, name: str) -> int:
        return int(self.stats[kind, name]["num_requests"])

    def failed(self, kind: str, name: str) -> int:
        return int(self.stats[kind, name]["num_failures"])


@asynccontextmanager
async def locust(
    file: Path,
    *options: str,
    env: Mapping[str, str],
    command: tuple[str, ...] = LOCUST,
    pass_fds: tuple[int, ...] = (),
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `python -m locust` with a file; it is killed at the end of the context where it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        str(file),
        *options,
        env=os.environ | dict(env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        pass_fds=pass_fds,
        start_new_session=True,  # with --processes there are several
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def finished(process: asyncio.subprocess.Process) -> Run:
    """Wait for the end of a run."""
    async with asyncio.timeout(LIMIT_S):
        output, _ = await process.communicate()
    return Run(process.returncode or 0, output.decode())


async def run_locust(
    file: Path,
    endpoints: str,
    *options: str,
    until: Awaitable[object] | None = None,
    command: tuple[str, ...] = LOCUST,
    **env: str,
) -> Run:
    """Run a locustfile without the web interface, and return what it left.

    It is asked to end when `until` is done: a run that ends by the clock may not have begun by then.
    """
    env |= {"RPE_ENDPOINTS": endpoints}
    async with locust(file, *HEADLESS, *options, env=env, command=command) as process:
        if until is not None:
            await until
            process.terminate()
        return await finished(process)


async def engine_of(pid: int) -> psutil.Process:
    """Return the engine of a Locust process, as soon as it has one."""
    owner = psutil.Process(pid)
    async with asyncio.timeout(LIMIT_S):
        while True:
            for child in owner.children(recursive=True):
                with suppress(psutil.Error):
                    if "rpe.load.engine" in child.cmdline():
                        return child
            await asyncio.sleep(0.05)


def at_once(entries: Iterable[Entry], last: int = 0) -> int:
    """Return how many calls a server had under way at the same time, at most.

    `last` asks for so many of the latest beginnings and ends alone; 0 for all.
    """
    steps = {Kind.RECEIVED: 1, Kind.SENT: -1, Kind.FAILED: -1, Kind.CANCELLED: -1}
    found = [steps[each.kind] for each in entries if each.method == "execute" and each.kind in steps]
    return max(list(accumulate(found))[-last:], default=0)
