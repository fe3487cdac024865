"""Locust's processes of one run: started together, watched while the load runs, ended together."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rpe.chaos.shielding import bring_to_end
from rpe.clock import Clock
from rpe.loadtest.commands import SOURCE, arguments, worker_arguments
from rpe.loadtest.errors import LoadRunBroken
from rpe.loadtest.model import LoadPlan
from rpe.loadtest.processes import LocustProcess

__all__ = ["Cluster"]

STARTS_WITHIN_S = 90.0
"""How long all processes may take until the load begins: Python starts several times, on a busy machine."""

ENDS_WITHIN_S = 30.0
"""How long they may take to end after the load, beside the time that running operations are given."""

EARLY_S = 1.0
"""How long before the end of the load nothing may end yet: several processes do not agree to the instant."""

TRIES = 3
"""How often a port is drawn: somebody else may take it before the master does."""

_PORT_IS_TAKEN = ("Address already in use", "Socket bind failure")


class Cluster:
    """A master and its workers, or one process that is everything. Leaving ends whatever still runs.

    Arguments:
        plan, locustfiles: what is run.
        environment: of every process.
        result: where the figures are written to at the end.
        log: the log file of a process, by its name.
    """

    def __init__(
        self,
        plan: LoadPlan,
        locustfiles: str,
        environment: Mapping[str, str],
        *,
        result: Path,
        log: Callable[[str], Path],
        clock: Clock,
    ) -> None:
        self._plan = plan
        self._locustfiles = locustfiles
        self._environment = environment
        self._result = result
        self._log = log
        self._clock = clock
        self._processes: list[LocustProcess] = []
        self._words: asyncio.StreamReader | None = None
        self._pipe: asyncio.ReadTransport | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await bring_to_end(self._end())

    @property
    def processes(self) -> tuple[LocustProcess, ...]:
        """The processes, the one that keeps the figures first."""
        return tuple(self._processes)

    async def start(self) -> float:
        """Start everything; return the moment on the monotonic clock at which the load began.

        Raises LoadRunBroken where it does not begin.
        """
        for _ in range(TRIES - 1):
            try:
                return await self._try()
            except LoadRunBroken:
                if not any(words in self._processes[0].text() for words in _PORT_IS_TAKEN):
                    raise
                await self._end()
        return await self._try()

    async def _try(self) -> float:
        await self._start_all()
        try:
            async with self._clock.deadline(self._clock.now() + STARTS_WITHIN_S):
                word = await self._first(self._word("started"), "")
                return float(word["monotonic_s"])
        except TimeoutError:
            raise LoadRunBroken(f"the load did not begin within {STARTS_WITHIN_S:g} s") from None

    async def watch(self, until_s: float) -> None:
        """Return at that moment. Raises LoadRunBroken at once where a process or the load ends before it."""
        try:
            async with self._clock.deadline(until_s - EARLY_S):
                await self._first(self._word("ended"), "the load ended before its time")
        except TimeoutError:
            await self._clock.sleep_until(until_s)

    async def finish(self) -> None:
        """Wait until all have ended by themselves. Raises LoadRunBroken where one does not, or ends badly."""
        limit_s = self._plan.patience_s + ENDS_WITHIN_S
        try:
            async with self._clock.deadline(self._clock.now() + limit_s):
                for process in self._processes:
                    await process.wait()
        except TimeoutError:
            names = ", ".join(process.name for process in self._processes if process.code is None)
            raise LoadRunBroken(f"{names} did not end within {limit_s:g} s after the load") from None
        for process in self._processes:
            if process.code != 0:
                raise LoadRunBroken(f"{process.name} ended badly ({process.how_it_ended()})")

    async def _start_all(self) -> None:
        reading, writing = os.pipe()
        try:
            self._words = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(self._words)
            pipe = os.fdopen(reading, "rb", buffering=0)
            self._pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)
            port = _free_port() if self._plan.workers else None
            told = {"RPE_LOAD_RESULT": str(self._result), "RPE_LOAD_EVENTS_FD": str(writing)}
            name = "locust" if port is None else "master"
            self._processes.append(
                await LocustProcess.start(
                    name,
                    arguments(self._plan, self._locustfiles, port),
                    {**self._environment, **told},
                    self._log(name),
                    pass_fds=[writing],
                )
            )
        finally:
            os.close(writing)
        for number in range(1, self._plan.workers + 1):
            assert port is not None
            name = f"worker-{number}"
            told_worker = worker_arguments(self._plan, self._locustfiles, port)
            own = {**self._environment, SOURCE: str(number - 1)}
            self._processes.append(await LocustProcess.start(name, told_worker, own, self._log(name)))

    async def _word(self, wanted: str) -> dict[str, Any]:
        """Wait for a word on the pipe; where that has been closed, until this is cancelled."""
        assert self._words is not None
        while line := await self._words.readline():
            word: dict[str, Any] = json.loads(line)
            if word.get("event") == wanted:
                return word
        await asyncio.Event().wait()  # how the process ended is told by the process
        raise AssertionError

    async def _first(self, word: Coroutine[Any, Any, dict[str, Any]], too_early: str) -> dict[str, Any]:
        """Wait for a word, and return it; where `too_early` says so, it is an error.

        Raises LoadRunBroken, also where a process ends first.
        """
        waiting = asyncio.ensure_future(word)
        ends = {asyncio.ensure_future(process.wait()): process for process in self._processes}
        try:
            await asyncio.wait([waiting, *ends], return_when=asyncio.FIRST_COMPLETED)
            for end, process in ends.items():
                if end.done():
                    raise LoadRunBroken(f"{process.name} ended before its time ({process.how_it_ended()})")
            if too_early:
                raise LoadRunBroken(too_early)
            return waiting.result()
        finally:
            for task in (waiting, *ends):
                task.cancel()
            await asyncio.gather(waiting, *ends, return_exceptions=True)

    async def _end(self) -> None:
        """End every process: the workers first, so that nobody reports of a master that has gone."""
        processes, self._processes = self._processes, []
        await asyncio.gather(*(process.end(self._clock) for process in reversed(processes)))
        if self._pipe is not None:
            self._pipe.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
