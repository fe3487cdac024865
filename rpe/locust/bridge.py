"""The engine as greenlets see it: a call blocks its greenlet, and no other one.

Nothing here hangs. The engine says that it is alive once a second; when it ends, or has been
silent for too long, everyone who waits is told at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
from gevent import socket, subprocess
from gevent.event import AsyncResult, Event

from rpe.errors import RpeError
from rpe.load.frames import Frame, FrameReader, pack, pack_again, unpack_done

__all__ = ["Bridge", "EngineFailed"]

_SILENCE_S = 10.0
"""An engine that has said nothing for so long hangs; it speaks once a second."""

_START_S = 60.0
"""How long the engine may take until it speaks for the first time: Python starts, on a busy machine."""

_END_S = 5.0


class EngineFailed(RpeError):
    """The load engine has ended, or hangs: no call can be made any more."""

    code = "load_engine_failed"
    default_hint = "what it wrote to standard error says why; start the load again"


class Bridge:
    """An engine process, and the calls that wait for it. It is started at once.

    Arguments:
        on_measured: told of what the engine has measured: an object with `samples` or `rows`.
        on_failure: told once, where the engine fails before `close`.
        command: what to start; the number of the engine's socket is added to it.
        silence_s: how long the engine may say nothing, and `start_s` how long before its first word.
    """

    def __init__(
        self,
        on_measured: Callable[[dict[str, Any]], None],
        on_failure: Callable[[EngineFailed], None],
        *,
        command: tuple[str, ...] = (sys.executable, "-m", "rpe.load.engine"),
        silence_s: float = _SILENCE_S,
        start_s: float = _START_S,
    ) -> None:
        self.failure: EngineFailed | None = None
        self.process_id = os.getpid()
        self.settled = Event()
        """Set when the engine has spoken, or failed."""
        self._on_measured = on_measured
        self._on_failure = on_failure
        self._silence_s = silence_s
        self._start_s = start_s
        self._waiting: dict[int, AsyncResult] = {}
        self._numbers = 0
        self._pending: list[bytes] = []
        self._wake = Event()
        self._closed = False
        self._socket, theirs = socket.socketpair()
        # A session of its own: what a terminal or `timeout` sends to a group is for the owner alone.
        self._engine = subprocess.Popen(
            [*command, str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        self._writer = gevent.spawn(self._write)
        self._reader = gevent.spawn(self._read)

    def number(self) -> int:
        """Return a number that nothing on this bridge has had before."""
        self._numbers += 1
        return self._numbers

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Send a message that has no answer. Raises EngineFailed."""
        self._post(pack(head, body))

    def _post(self, message: bytes) -> None:
        if self.failure is not None:
            raise self.failure
        self._pending.append(message)
        self._wake.set()

    def call(
        self, head: dict[str, Any], sent: Callable[[], None] | None = None, number: int | None = None
    ) -> Frame:
        """Send an order and wait for its answer; `sent` is called in between.

        `number` is the order's own, from `number()`, where its owner wants to know it. A greenlet
        that is killed meanwhile takes its call with it. Raises EngineFailed.
        """
        if number is None:
            number = self.number()
        return self._wait(number, pack(head | {"call": number}), sent)

    def call_again(self, order: int) -> Frame:
        """Make a call that the engine knows by the number of its order, and wait for its answer.

        Raises EngineFailed.
        """
        number = self.number()
        return self._wait(number, pack_again(number, order), None)

    def _wait(self, number: int, message: bytes, sent: Callable[[], None] | None) -> Frame:
        result = self._waiting[number] = AsyncResult()
        try:
            self._post(message)
            if sent is not None:
                sent()
            answer: Frame = result.get()
            return answer
        except EngineFailed:
            raise
        except BaseException:
            if self.failure is None:
                self.send({"op": "cancel", "call": number})
            raise
        finally:
            del self._waiting[number]

    def close(self) -> None:
        """End the engine, and wait for that; what waits is told. Closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        self._fail("the load engine has been closed")
        try:
            self._engine.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self._engine.kill()
            self._engine.wait()

    def _write(self) -> None:
        with suppress(OSError):
            while True:
                self._wake.wait()
                self._wake.clear()
                pending, self._pending = self._pending, []
                self._socket.sendall(b"".join(pending))

    def _read(self) -> None:
        frames = FrameReader()
        self._socket.settimeout(self._start_s)
        started = late = False
        while True:
            try:
                piece = self._socket.recv(1 << 18)
            except TimeoutError:
                # Was it this process that slept? Then the engine's words are there to be read.
                if late:
                    silent_s = self._silence_s if started else self._start_s
                    self._fail(f"the load engine has been silent for {silent_s:g} s")
                    return
                late = True
                self._socket.settimeout(1.0)
                continue
            except OSError:
                piece = b""
            if not piece:
                self._fail(f"the load engine ended ({self._how_it_ended()})")
                return
            if late or not started:
                started, late = True, False
                self.settled.set()
                self._socket.settimeout(self._silence_s)
            for frame in frames.feed(piece):
                self._take(frame)

    def _take(self, frame: Frame) -> None:
        if not frame.head:
            frame = unpack_done(frame)
        head = frame.head
        if (result := self._waiting.get(head.get("call", 0))) is not None:
            result.set(frame)
        elif "samples" in head or "rows" in head:
            self._on_measured(head)

    def _how_it_ended(self) -> str:
        try:
            code = self._engine.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return "it closed its socket"
        return f"exit code {code}" if code >= 0 else f"signal {-code}"

    def _fail(self, reason: str) -> None:
        if self.failure is not None:
            return
        self.failure = EngineFailed(reason)
        self.settled.set()
        self._writer.kill(block=False)
        self._socket.close()
        for result in list(self._waiting.values()):
            result.set_exception(self.failure)
        if not self._closed:
            with suppress(OSError):
                self._engine.kill()
            self._on_failure(self.failure)
