"""The sessions of one server, from their `POST` to a while after their end."""

from __future__ import annotations

import asyncio
import hmac
import logging

from rpe.manifest.model import Manifest
from rpe.transport.http.answers import Ending, refusal_ending
from rpe.transport.http.outbox import Reader
from rpe.transport.http.running import FAILED
from rpe.transport.http.serving_session import HttpServerSession
from rpe.transport.serving import (
    ConnectionCut,
    PipelineHandler,
    Refusal,
    ServerCall,
    SessionBroken,
    StatusCode,
)

__all__ = ["RunningSession", "Sessions"]

_LOG = logging.getLogger(__name__)


class RunningSession:
    """A session with the task that serves it.

    `key` is its id, empty before it is ready. `cut` says that its connections are to break.
    """

    def __init__(self, sessions: Sessions, manifest: Manifest, call: ServerCall) -> None:
        self.key = ""
        self.cut = False
        self.call = call
        self.settled = asyncio.Event()
        self.session = HttpServerSession(manifest, self._be_ready)
        self.timer: asyncio.TimerHandle | None = None
        self._sessions = sessions
        self.task = asyncio.get_running_loop().create_task(sessions.serve(self))

    def _be_ready(self, wanted: str) -> None:
        if not self.key:
            self.key = self._sessions.register(self, wanted)
            self.settled.set()


class Sessions:
    """Serves sessions by a handler, each in a task of its own, and finds them by their ids.

    A session whose output nobody reads ends after `resume_s` seconds. An ended one is
    remembered as long, so that a caller that comes late is told how it ended.
    """

    def __init__(self, handler: PipelineHandler, *, resume_s: float) -> None:
        self._handler = handler
        self._resume_s = resume_s
        self._known: dict[str, RunningSession] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, manifest: Manifest, call: ServerCall) -> str | Ending:
        """Serve a session, and return its id once the handler says that it is ready, or how it ended before.

        Raises ConnectionCut where the handler did. Cancelling ends the session.
        """
        running = RunningSession(self, manifest, call)
        self._tasks.add(running.task)
        running.task.add_done_callback(self._tasks.discard)
        try:
            await running.settled.wait()
        except asyncio.CancelledError:
            running.task.cancel()
            raise
        if running.key:
            return running.key
        if running.cut:
            raise ConnectionCut
        return running.session.ending or refusal_ending(FAILED)

    def register(self, running: RunningSession, wanted: str) -> str:
        """Give a session the id that its handler wants, or one like it where that is taken."""
        key, number = wanted, 1
        while key in self._known:
            number += 1
            key = f"{wanted}-{number}"
        self._known[key] = running
        self._start_timer(running)
        return key

    def find(self, key: str, call: ServerCall) -> RunningSession:
        """Return the session of that id. Raises Refusal where there is none, or it is another caller's."""
        running = self._known.get(key)
        if running is None:
            raise Refusal(StatusCode.NOT_FOUND, f"there is no session {key[:80]!r}")
        own, told = (each.metadata.get("authorization", "").encode() for each in (running.call, call))
        if not hmac.compare_digest(own, told):
            raise Refusal(StatusCode.UNAUTHENTICATED, "the session is another caller's")
        return running

    def attach(self, running: RunningSession, after: int | None) -> Reader:
        """Begin to read the output of a session. Raises Refusal where it cannot be taken up there."""
        reader = running.session.outbox.attach(after)
        _stop_timer(running)
        return reader

    def detach(self, running: RunningSession, reader: Reader) -> None:
        """Say that the reading has ended: all was read, or the connection has gone."""
        if running.session.outbox.detach(reader):
            self._start_timer(running)

    async def wait(self, timeout_s: float) -> None:
        """Wait until no session runs any more, for `timeout_s` seconds at most."""
        if self._tasks and timeout_s > 0:
            await asyncio.wait(list(self._tasks), timeout=timeout_s)

    async def stop(self) -> None:
        """Cancel every session, wait until its task has ended, and forget all of them."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for running in self._known.values():
            _stop_timer(running)
        self._known.clear()

    async def serve(self, running: RunningSession) -> None:
        """Let the handler serve a session until it ends, whatever ends it."""
        session, call = running.session, running.call
        try:
            async with asyncio.timeout(call.remaining_s) as deadline:
                await self._handler.stream(call, session)
        except SessionBroken:
            pass
        except Refusal as refusal:
            session.fail(refusal_ending(refusal))
        except ConnectionCut:
            running.cut = True
        except asyncio.CancelledError:
            # An output that ended in good HTTP order could be taken for a session that did.
            running.cut = True
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and deadline.expired():
                session.fail(refusal_ending(Refusal(StatusCode.DEADLINE_EXCEEDED, "the time is over")))
            else:
                _LOG.exception("the handler of a session failed")
                session.fail(refusal_ending(FAILED))
        finally:
            session.end()
            running.settled.set()
            if running.key:
                self._start_timer(running)

    def _start_timer(self, running: RunningSession) -> None:
        _stop_timer(running)
        loop = asyncio.get_running_loop()
        running.timer = loop.call_later(self._resume_s, self._expire, running)

    def _expire(self, running: RunningSession) -> None:
        running.task.cancel()
        self._known.pop(running.key, None)


def _stop_timer(running: RunningSession) -> None:
    if running.timer is not None:
        running.timer.cancel()
        running.timer = None
