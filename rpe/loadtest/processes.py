"""One process of Locust's, with its log: started, waited for, ended with all that belongs to it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from rpe.clock import Clock
from rpe.errors import redact

__all__ = ["LocustProcess"]

GRACE_S = 3.0
"""How long a process may take to end when it is asked to."""


class LocustProcess:
    """A process that is made by `start`, and over after `end`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    @classmethod
    async def start(
        cls,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        pass_fds: Sequence[int] = (),
    ) -> Self:
        """Start Locust with these arguments; what it prints goes to `log`.

        The process has a session of its own: Ctrl-C at a terminal is for the one that started
        it. It is killed by the system (Linux) when that one dies.
        """
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "rpe.loadtest.child", str(os.getpid()), *arguments),
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code, None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait for its end, and return its exit code; that of a signal is negative."""
        return await self._process.wait()

    async def end(self, clock: Clock) -> None:
        """Ask the process to end, and kill it where it has not after a while. Harmless twice."""
        if self.code is not None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with clock.deadline(clock.now() + GRACE_S):
                await self._process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            await self._process.wait()

    def how_it_ended(self) -> str:
        """Return its exit code or signal, and its last words, on one line."""
        code = self.code
        how = "runs" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"
        lines = [line for line in self.text().splitlines() if line.strip() and "(exit code" not in line]
        return f"{how}: {redact(lines[-1].strip())[:300]}" if lines else how

    def text(self) -> str:
        """Return what it has printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")
