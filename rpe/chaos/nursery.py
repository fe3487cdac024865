"""Workers that are forked from a process which has imported everything that they need.

A worker that starts from nothing spends most of a second on imports, which with many short
cells is half of all that a suite costs. Here one process (`python -m rpe.chaos.forking`) imports
them once, before it has a thread, an event loop or any gRPC object, and each worker is a fork
of it. What a worker does, and what becomes of it, is the same either way.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import IO, Protocol, Self

from rpe.chaos.shielding import bring_to_end
from rpe.errors import ConfigurationError

__all__ = ["Nursery", "WorkerProcess", "start_worker"]

LINE_LIMIT = 1024 * 1024
"""The longest line that a worker may say, in bytes."""

OWN_SUBJECT = "rpe"
"""The client under test that is imported before workers are forked."""

_MESSAGE_LIMIT = 4096


class WorkerProcess(Protocol):
    """A worker, as its owner holds it; `asyncio.subprocess.Process` is one."""

    @property
    def pid(self) -> int:
        """The number of the process, which is also that of its session."""
        ...

    @property
    def returncode(self) -> int | None:
        """The exit code, the negative number of a signal, or None while it runs."""
        ...

    @property
    def stdin(self) -> asyncio.StreamWriter | None:
        """Its input; its end tells the worker that nobody waits for it any more."""
        ...

    @property
    def stdout(self) -> asyncio.StreamReader | None:
        """Its progress."""
        ...

    def terminate(self) -> None:
        """Ask it to stop. Raises ProcessLookupError where it has ended."""
        ...

    async def wait(self) -> int:
        """Wait for its end, and return the exit code."""
        ...


async def start_worker(log: IO[bytes]) -> WorkerProcess:
    """Start a worker from nothing, in a session of its own; what it writes to stderr goes to `log`."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rpe.chaos.worker"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
        limit=LINE_LIMIT,
        start_new_session=True,
    )


class Nursery:
    """The process that workers are forked from, used as an async context.

    It ends when the context does, after the workers that still run then: their inputs should be
    closed by then. When its owner dies it does the same; when it dies itself, its workers die with it.
    A process is started at first need only.

    Arguments:
        transports: the wires whose packages are imported beforehand.
        subject: the client under test. Only our own is imported beforehand, too: what others do
            where they are imported is not known.
    """

    def __init__(self, transports: Iterable[str], subject: str = "") -> None:
        self._arguments = [subject if subject == OWN_SUBJECT else "", *sorted(set(transports))]
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._socket: socket.socket | None = None
        self._listening: asyncio.Task[None] | None = None
        self._asked: dict[int, asyncio.Future[_Forked]] = {}
        self._numbers = count(1)
        self._alive: dict[int, _Forked] = {}

    async def start_worker(self, log: IO[bytes]) -> WorkerProcess:
        """Fork a worker, in a session of its own; what it writes to stderr goes to `log`.

        Raises ConfigurationError where the process that workers are forked from has died.
        """
        async with self._turn:
            if self._socket is None:
                await self._open()
        assert self._socket is not None
        number = next(self._numbers)
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        try:
            try:
                socket.send_fds(self._socket, [b"%d" % number], [theirs_in, theirs_out, log.fileno()])
            finally:
                os.close(theirs_in)
                os.close(theirs_out)
            forked: _Forked = await asked
        except BaseException as error:
            # The worker, where there is one, ends when it finds its input closed.
            os.close(ours_in)
            os.close(ours_out)
            if isinstance(error, OSError):
                raise _died() from error
            raise
        finally:
            del self._asked[number]
        return await forked.connect(ours_in, ours_out)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            await bring_to_end(self._close(self._socket))

    async def _close(self, ours: socket.socket) -> None:
        assert self._process is not None and self._listening is not None
        # It has heard of the end of each worker before its own.
        ours.shutdown(socket.SHUT_WR)
        await self._listening
        await self._process.wait()
        ours.close()

    async def _open(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "rpe.chaos.forking", str(theirs.fileno()), *self._arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._socket = ours
        self._listening = asyncio.create_task(self._listen(ours), name="rpe nursery")

    async def _listen(self, ours: socket.socket) -> None:
        """Hear of births and deaths until the process has ended."""
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):
            while message := await loop.sock_recv(ours, _MESSAGE_LIMIT):
                told: dict[str, int] = json.loads(message)
                pid = told["pid"]
                if "code" in told:
                    self._alive.pop(pid).ended(told["code"])
                    continue
                forked = self._alive[pid] = _Forked(pid)
                asked = self._asked.get(told["number"])
                if asked is not None and not asked.done():
                    asked.set_result(forked)
        for worker in self._alive.values():
            worker.ended(-signal.SIGKILL)
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(_died())


def _died() -> ConfigurationError:
    return ConfigurationError(
        "no worker can be started: the process that they are forked from has ended",
        hint="what it wrote to standard error says why",
    )


class _Forked:
    """Fills `WorkerProcess` for a process that is the child of another one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout: asyncio.StreamReader | None = None
        self._over = asyncio.Event()
        self._reading: asyncio.BaseTransport | None = None

    async def connect(self, to_stdin: int, from_stdout: int) -> Self:
        loop = asyncio.get_running_loop()
        self.stdout = asyncio.StreamReader(LINE_LIMIT)
        protocol = asyncio.StreamReaderProtocol(self.stdout)
        self._reading, _ = await loop.connect_read_pipe(
            lambda: protocol, os.fdopen(from_stdout, "rb", buffering=0)
        )
        writing, flow = await loop.connect_write_pipe(
            asyncio.streams.FlowControlMixin, os.fdopen(to_stdin, "wb", buffering=0)
        )
        self.stdin = asyncio.StreamWriter(writing, flow, None, loop)
        return self

    def terminate(self) -> None:
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, signal.SIGTERM)

    async def wait(self) -> int:
        await self._over.wait()
        if self._reading is not None:
            self._reading.close()
        assert self.returncode is not None
        return self.returncode

    def ended(self, code: int) -> None:
        self.returncode = code
        self._over.set()
