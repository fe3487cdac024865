"""`rpe fake serve` as a process beside this one, and how much CPU a process has had."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["BARE", "FAKE_SERVE", "SERVER", "Served", "cpu_s", "served"]

FAKE_SERVE = (sys.executable, "-c", "from rpe.cli import main; main()", "fake", "serve")
"""The command, without what it serves; `--grpc-port 0` is added."""
SERVER = (sys.executable, "-m", "benchmarks.fakes_server")
BARE = (*SERVER, "bare")
_ADDRESS = re.compile(r"127\.0\.0\.1:\d+")


@dataclass(frozen=True)
class Served:
    """Where a server listens, the id of its process, and when it was started, by the performance counter."""

    address: str
    pid: int
    began_s: float


@contextmanager
def served(*command: str) -> Iterator[Served]:
    """Run a command that tells in its first line where it serves; it is ended on leaving."""
    began_s = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = _ADDRESS.search(line)
        if found is None:
            raise RuntimeError(f"{' '.join(command)} did not start: {line!r}")
        yield Served(found[0], process.pid, began_s)
    finally:
        process.terminate()
        process.communicate(timeout=10)


def cpu_s(pid: int) -> float:
    """Return the CPU time of another process with all its threads, in seconds, to the nanosecond.

    The id of the clock is as clock_getcpuclockid(3) makes it on Linux; where there is none, this is refused.
    """
    return time.clock_gettime(~pid << 3 | 2)
