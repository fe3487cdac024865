"""`python -m rpe.chaos.worker`: one cell in a process of its own.

It reads a job (`rpe.chaos.job`) as the first line of its input, writes its progress to
its output, a JSON object a line, and its log to its error stream. It ends with the exit
code of the verdict. SIGINT, SIGTERM and the end of its input interrupt the run: faults
are healed, everything is taken down, and the verdict is unknown.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from rpe.chaos.job import Job
from rpe.chaos.options import Progress
from rpe.chaos.result import Status, exit_code
from rpe.chaos.rundir import RunFolder
from rpe.chaos.runner import run_cell

__all__ = ["main"]

UNKNOWN = exit_code(Status.UNKNOWN)


async def work(job: Job, progress: TextIO) -> int:
    """Run the job and return the exit code; 3 where it was interrupted."""

    def tell(now: Progress) -> None:
        print(json.dumps(now.as_json()), file=progress, flush=True)

    run = asyncio.ensure_future(
        run_cell(job.cell, job.options, folder=RunFolder(job.folder), on_progress=tell)
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, run.cancel)
    watching = await _watch_input(run.cancel)
    try:
        return (await run).verdict.exit_code
    except asyncio.CancelledError:
        return UNKNOWN
    finally:
        if watching is not None:
            watching.close()


async def _watch_input(ended: Callable[[], object]) -> asyncio.ReadTransport | None:
    """Call `ended` when the input ends, as it does when the parent dies. A file as input is not watched."""

    class Watch(asyncio.Protocol):
        def connection_lost(self, error: Exception | None) -> None:
            ended()

    with suppress(ValueError):
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(Watch, sys.stdin)
        return transport
    return None


def main() -> int:
    """Run the job that stands on the input."""
    # What the client under test prints must not be taken for progress.
    progress = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # What is imported stays: collecting garbage need not look at it again and again.
    gc.freeze()
    try:
        # Unbuffered, so that nothing after the first line is taken away from the watcher.
        job = Job.from_json(os.fdopen(os.dup(0), "rb", buffering=0).readline().decode())
        return asyncio.run(work(job, progress))
    except KeyboardInterrupt:
        return UNKNOWN
    except Exception:
        # Python's own exit code for this would read as a failed verdict.
        logging.getLogger(__name__).exception("the worker crashed")
        return UNKNOWN


if __name__ == "__main__":
    sys.exit(main())
