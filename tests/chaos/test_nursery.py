"""Workers that are forked have the streams, exit codes and sessions of those that are started afresh."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from rpe.chaos.nursery import Nursery, WorkerProcess, start_worker
from rpe.errors import ConfigurationError


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
async def nursery() -> AsyncIterator[Nursery]:
    before = descriptors()
    async with Nursery([]) as made:
        yield made
    await asyncio.sleep(0.01)  # what was closed is closed by the loop
    assert descriptors() == before
    assert [
        child for child in psutil.Process().children(recursive=True) if "forking" in child.cmdline()
    ] == []


async def spoken_to(worker: WorkerProcess, words: bytes) -> tuple[int, bytes]:
    """Give a worker its first line, and return its exit code and what it said."""
    assert worker.stdin is not None and worker.stdout is not None
    worker.stdin.write(words)
    said = await worker.stdout.read()
    code = await worker.wait()
    worker.stdin.close()
    return code, said


async def test_a_forked_worker_is_like_one_that_was_started(nursery: Nursery, tmp_path: Path) -> None:
    logs = [tmp_path / "forked", tmp_path / "started"]
    with logs[0].open("ab") as forked, logs[1].open("ab") as started:
        workers = await nursery.start_worker(forked), await start_worker(started)
    for worker in workers:
        assert os.getsid(worker.pid) == worker.pid != os.getsid(0)
        assert await spoken_to(worker, b"this is no job\n") == (3, b"")
        assert worker.returncode == 3
        with pytest.raises(ProcessLookupError):
            worker.terminate()
    for log in logs:
        assert "the worker crashed" in log.read_text()


async def test_many_at_once_each_with_its_own_end(nursery: Nursery, tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as log:
        workers = await asyncio.gather(*(nursery.start_worker(log) for _ in range(4)))
    assert len({worker.pid for worker in workers}) == 4
    os.kill(workers[0].pid, signal.SIGKILL)
    workers[1].terminate()
    assert workers[2].stdin is not None
    workers[2].stdin.close()  # nobody waits for it any more
    ends = [await worker.wait() for worker in workers[:3]]
    assert ends == [-signal.SIGKILL, -signal.SIGTERM, 3]
    assert workers[3].returncode is None
    assert await spoken_to(workers[3], b"\n") == (3, b"")
    for worker in workers[:2]:
        assert worker.stdin is not None
        worker.stdin.close()


async def test_a_start_that_is_cancelled_leaves_no_worker(nursery: Nursery, tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as log:
        first = await nursery.start_worker(log)
        starting = asyncio.create_task(nursery.start_worker(log))
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        second = await nursery.start_worker(log)
    assert first.pid != second.pid
    for worker in (first, second):
        assert (await spoken_to(worker, b"\n"))[0] == 3


async def test_workers_die_with_what_they_were_forked_from(nursery: Nursery, tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as log:
        worker = await nursery.start_worker(log)
        parent = psutil.Process(worker.pid).parent()
        assert parent is not None
        parent.kill()
        assert await worker.wait() == -signal.SIGKILL
        with pytest.raises(ConfigurationError, match="has ended"):
            await nursery.start_worker(log)
    assert worker.stdin is not None
    worker.stdin.close()
