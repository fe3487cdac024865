"""Two Locust workers against one: the same callers in all, under one master, against one plain server.

Calls are those in the result that the master writes; CPU is of the same seconds.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.harness import Row, median
from rpe.load.results import read_results

__all__ = ["Figures", "measure", "rows"]

USERS = Path(__file__).with_name("load_users.py")
FROM_S = 2.0
"""From when on is measured, in seconds from the start of the test: all callers call by then."""

_START_S = 60.0


@dataclass(frozen=True)
class Figures:
    """What one run came to: calls per second, and how many cores who was busy on."""

    calls_per_s: float
    workers: float
    master: float
    server: float
    machine: float
    """Of everything there is: where that is all of the machine's cores, they are what limits the calls."""

    @property
    def calls_per_cpu_s(self) -> float:
        """Calls for each second of CPU of the workers and their engines."""
        return self.calls_per_s / self.workers


def measure(workers: int, address: str, server_pid: int, callers: int, seconds: float) -> Figures:
    """Run a master with so many workers, and `callers` in all."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    locust = [sys.executable, "-m", "locust", "-f", str(USERS), "--loglevel", "ERROR"]
    bound = ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port]
    users = ["-u", str(callers), "-r", "100", "-t", f"{FROM_S + seconds + 1.0:g}s"]
    first = [*bound, "--expect-workers", str(workers), "--headless", "--only-summary", *users]
    other = ["--worker", "--master-host", "127.0.0.1", "--master-port", port]
    env = os.environ | {"RPE_BENCH_ARM": "Caller", "RPE_ENDPOINTS": address}
    env["PYTHONPATH"] = str(USERS.parents[1])
    reading, writing = os.pipe()
    with TemporaryDirectory() as folder, ExitStack() as stack:
        stack.callback(os.close, reading)
        result, output = Path(folder) / "result.jsonl", Path(folder) / "output"
        log = stack.enter_context(output.open("ab"))
        told = {"RPE_LOAD_RESULT": str(result), "RPE_LOAD_EVENTS_FD": str(writing)}

        def start(options: list[str], **more: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [*locust, *options],
                env=env | more,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(writing,) if more else (),
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        master = start(first, **told)
        os.close(writing)
        crew = [start(other) for _ in range(workers)]
        groups = [[psutil.Process(each.pid) for each in crew], [psutil.Process(master.pid)]]
        groups.append([psutil.Process(server_pid)])
        started_s = _started_s(reading)
        begin = _cpu_s(groups, started_s + FROM_S)
        end = _cpu_s(groups, started_s + FROM_S + seconds)
        if master.wait(timeout=_START_S):
            raise RuntimeError(f"a run with {workers} workers failed: {output.read_text()[-2000:]}")
        calls = read_results(result).series("execute", from_s=FROM_S, to_s=FROM_S + seconds)
    if calls.failed:
        raise RuntimeError(f"a run with {workers} workers had calls that failed")
    busy = [(late - soon) / seconds for soon, late in zip(begin, end, strict=True)]
    return Figures(calls.count / seconds, *busy)


def rows(found: dict[int, list[Figures]], callers: int) -> list[Row]:
    """Compare the runs by their number of workers, 1 and 2; medians of several runs of each."""
    told: list[Row] = []
    for workers, runs in sorted(found.items()):
        calls, per_cpu, *busy = (
            median([getattr(run, name) for run in runs])
            for name in ("calls_per_s", "calls_per_cpu_s", "workers", "master", "server", "machine")
        )
        figure = f"{calls:.0f} calls/s, {per_cpu:.0f} per CPU second of the workers"
        cores = "cores busy: workers {:.2f}, master {:.2f}, server {:.2f}, the whole machine {:.2f}".format(
            *busy
        )
        name = f"CallerUser, {callers} users, master and {workers} worker{'s' if workers > 1 else ''}"
        told.append(Row(name, f"{figure} ({cores})"))
    one, two = found[1], found[2]
    shares = [
        median([getattr(run, name) for run in two]) / median([getattr(run, name) for run in one])
        for name in ("calls_per_s", "calls_per_cpu_s")
    ]
    figure = "{:.2f} of the calls per second, {:.2f} per CPU second".format(*shares)
    return [*told, Row(f"two workers against one, on {os.cpu_count()} cores with the server", figure)]


def _started_s(reading: int) -> float:
    """Return when the test began, on the monotonic clock, once it has."""
    text, until_s = b"", time.monotonic() + _START_S
    while b"\n" not in text:
        ready, _, _ = select.select([reading], [], [], max(until_s - time.monotonic(), 0.0))
        piece = os.read(reading, 4096) if ready else b""
        if not piece:
            raise RuntimeError("the master has not begun its test")
        text += piece
    return float(json.loads(text.splitlines()[0])["monotonic_s"])


def _cpu_s(groups: Sequence[Sequence[psutil.Process]], at_s: float) -> list[float]:
    """Return the CPU seconds of groups of processes with their children, and of all, at that moment."""
    time.sleep(max(at_s - time.monotonic(), 0.0))
    found = psutil.cpu_times()
    busy_s = found.user + found.nice + found.system + found.irq + found.softirq
    return [
        *(
            sum(
                sum(each.cpu_times()[:2])
                for process in group
                for each in (process, *process.children(recursive=True))
            )
            for group in groups
        ),
        busy_s,
    ]
