"""The other end of `rpe.fakes.main`: one child process, its pipes and its signals."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from typing import Any

from rpe.errors import ConfigurationError

__all__ = ["Child"]

_LINE_LIMIT = 16 * 1024 * 1024
_STARTS_WITHIN_S = 30.0
_ANSWERS_WITHIN_S = 10.0
_ENDS_WITHIN_S = 5.0


class Child:
    """One process. It is made by `spawn`, and over after `stop` or `kill`."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self._process = process
        self._name = name
        self._turn = asyncio.Lock()
        self._paused = False
        self._unheard = 0

    @classmethod
    async def spawn(cls, name: str, transport: str) -> Child:
        """Start a process and wait until it has imported what it needs; it serves nothing yet.

        Raises ConfigurationError where it does not come up. Cancelling leaves no process.
        """
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rpe.fakes.main", transport),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_LIMIT,
        )
        child = cls(process, name)
        try:
            await child._hear(_STARTS_WITHIN_S)
        except BaseException:
            await child.kill()
            raise
        return child

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process has not ended, as far as is known."""
        return self._process.returncode is None

    async def serve(self, config: Mapping[str, Any]) -> str:
        """Make it serve, and return the bound address.

        Raises ConfigurationError, and the process is gone, where it cannot.
        """
        try:
            return str((await self._ask(config, _STARTS_WITHIN_S))["ready"])
        except BaseException:
            await self.kill()
            raise

    async def command(self, **command: Any) -> None:
        """Have a command carried out; a paused process is left to do it when it goes on.

        Raises ConfigurationError where it is refused, or not answered.
        """
        if self._paused:
            await self._write(command)
            self._unheard += 1
        else:
            await self._ask(command, _ANSWERS_WITHIN_S)

    def pause(self) -> None:
        """Stop the process where it is (SIGSTOP): its connections stay open, and silent."""
        self._signal(signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self._signal(signal.SIGCONT)
        self._paused = False

    async def kill(self) -> None:
        """Kill the process (SIGKILL) and wait until it is gone."""
        if self.alive:
            self._signal(signal.SIGKILL)
        await self._process.wait()
        self._close()

    async def stop(self, grace_s: float) -> None:
        """Have running calls end within `grace_s` seconds, and the process after them; else kill it."""
        if self._paused or not self.alive:
            await self.kill()
            return
        try:
            async with asyncio.timeout(grace_s + _ENDS_WITHIN_S):
                await self._write({"do": "stop", "grace_s": grace_s})
                await self._process.wait()
        except (TimeoutError, OSError):
            pass
        finally:
            await self.kill()

    async def _ask(self, words: Mapping[str, Any], within_s: float) -> dict[str, Any]:
        async with self._turn:
            await self._write(words)
            while self._unheard:
                await self._read(within_s)
                self._unheard -= 1
            return await self._hear(within_s)

    async def _write(self, words: Mapping[str, Any]) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        pipe.write(json.dumps(words).encode() + b"\n")
        await pipe.drain()

    async def _hear(self, within_s: float) -> dict[str, Any]:
        words = await self._read(within_s)
        if "error" in words:
            raise ConfigurationError(f"the fake {self._name!r}: {words['error']}")
        return words

    async def _read(self, within_s: float) -> dict[str, Any]:
        pipe = self._process.stdout
        assert pipe is not None
        try:
            async with asyncio.timeout(within_s):
                line = await pipe.readline()
        except TimeoutError as error:
            raise ConfigurationError(
                f"the process of the fake {self._name!r} did not answer within {within_s:g} s"
            ) from error
        if not line:
            code = await self._process.wait()
            raise ConfigurationError(
                f"the process of the fake {self._name!r} ended with code {code}",
                hint="its own words are on stderr",
            )
        words: dict[str, Any] = json.loads(line)
        return words

    def _signal(self, number: signal.Signals) -> None:
        if not self.alive:
            raise ConfigurationError(
                f"the process of the fake {self._name!r} has ended", hint="start it first"
            )
        self._process.send_signal(number)

    def _close(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        pipe.close()
