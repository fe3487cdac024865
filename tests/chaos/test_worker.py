"""A worker process: its exit codes, and that whatever stops it leaves nothing running or half-written."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from rpe.chaos.job import Job
from rpe.chaos.options import RunOptions
from rpe.chaos.result import Status
from rpe.chaos.rundir import RunFolder
from rpe.faults.driver import ToxiproxyDriver
from rpe.faults.proxy import EmbeddedProxy
from tests.support.chaos import cell_of

PATIENCE_S = 20.0


def long_job(folder: Path, proxy: str) -> Job:
    """A run of a minute, in which a server in a process of its own is to be killed."""
    cell = cell_of(
        duration_s=60.0, faults=[{"name": "dead", "at_s": 0.05, "for_s": 20.0, "kill": {"on": ["a"]}}]
    )
    return Job(cell, RunOptions(out=folder.parent, subject="bare", proxy=proxy), folder)


class Worker:
    """A worker process, and what it tells."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def until(self, **wanted: Any) -> dict[str, Any]:
        """Return the first progress that fits."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while line := await self.process.stdout.readline():
                told: dict[str, Any] = json.loads(line)
                if all(told[name] == value for name, value in wanted.items()):
                    return told
        raise AssertionError(f"it ended before {wanted}")

    async def exit_code(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            assert self.process.stdout is not None
            await self.process.stdout.read()
            return await self.process.wait()


@asynccontextmanager
async def working(job: Job | str) -> AsyncIterator[Worker]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rpe.chaos.worker"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None
    try:
        process.stdin.write((job if isinstance(job, str) else job.to_json()).encode() + b"\n")
        yield Worker(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process.stdin.close()


def files(path: Path) -> set[str]:
    return {file.name for file in path.iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return RunFolder.create(tmp_path, "now", "short").path


@pytest.mark.parametrize(("faults", "code"), [(True, 0), (False, 3)])
async def test_it_ends_with_the_code_of_the_verdict(folder: Path, faults: bool, code: int) -> None:
    options = RunOptions(out=folder.parent, subject="bare", faults=faults)
    async with working(Job(cell_of(), options, folder)) as worker:
        done = await worker.until(phase="done")
        assert done["ok"] == 30
        assert await worker.exit_code() == code
    verdict = RunFolder(folder).load_verdict()
    assert verdict is not None
    assert verdict.exit_code == code


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, "its input ends"])
async def test_stopped_from_outside_it_leaves_nothing(folder: Path, how: signal.Signals | str) -> None:
    async with EmbeddedProxy() as proxy, ToxiproxyDriver(proxy.url) as driver:
        async with working(long_job(folder, proxy.url)) as worker:
            await worker.until(phase="running", faults=["dead"])
            children = psutil.Process(worker.process.pid).children(recursive=True)
            assert children, "a server has a process of its own"
            assert len(await driver.proxies()) == 2
            if isinstance(how, signal.Signals):
                worker.process.send_signal(how)
                worker.process.send_signal(how)
            else:
                assert worker.process.stdin is not None
                worker.process.stdin.close()
            assert await worker.exit_code() == 3
        assert await driver.proxies() == {}
    gone, alive = psutil.wait_procs(children, timeout=2)
    assert not alive, gone
    run = RunFolder(folder)
    assert files(folder) == {"plan.json", "history.jsonl", "verdict.json"}
    verdict = run.load_verdict()
    assert verdict is not None
    assert verdict.status is Status.UNKNOWN
    assert "interrupted" in verdict.checks[0].summary
    history = run.load_history()
    assert not history.cut
    assert history.end_reason == "interrupted"
    assert history.faults["dead"].healed_s is not None
    assert all(operation.ends == 1 for operation in history.operations.values())


@pytest.mark.parametrize("job", ["not JSON", '{"cell": {}, "options": {}, "folder": 1}'])
async def test_what_is_no_job_is_unknown_and_never_reads_as_a_verdict(job: str) -> None:
    async with working(job) as worker:
        assert await worker.exit_code() == 3


async def test_what_the_client_prints_is_not_taken_for_progress(folder: Path) -> None:
    options = RunOptions(out=folder.parent, subject="tests.support.chaos:create_chatty")
    async with working(Job(cell_of(), options, folder)) as worker:
        assert (await worker.until(phase="done"))["ok"] == 30


def test_a_job_survives_the_way_through_json(folder: Path) -> None:
    job = long_job(folder, "http://127.0.0.1:1")
    assert Job.from_json(job.to_json()) == job
