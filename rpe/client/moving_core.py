"""The engine of a session that moves: one task that sends chunks on, and finds the next leg."""

from __future__ import annotations

import asyncio

from rpe.client.legs import Leg, LegSource
from rpe.client.moving_error import final_error
from rpe.client.replay import ReplayBuffer, Verdict
from rpe.clock import Clock
from rpe.errors import ProtocolViolation, RpeError, SessionClosed, StreamBroken

__all__ = ["Mover"]

_LATE = "a pipeline whose results do not come in the order of its chunks cannot be repeatable"


class Mover:
    """Carries the chunks of a buffer over one leg after the other, until the session has ended.

    The task that runs `run` is the only one that sends, and the only one that moves. Whoever
    sees that a leg has failed calls `broke`, and only the first one counts. The caller of the
    session reads results from `leg` himself: where that fails he waits in `next_leg`. So a
    server that wants its results to be read first is never waited for by both.

    `over` says that the session has ended, `error` by what (None: in good order).
    """

    def __init__(
        self,
        legs: LegSource,
        leg: Leg,
        buffer: ReplayBuffer,
        clock: Clock,
        stall_timeout_s: float | None,
    ) -> None:
        self.leg = leg
        self.buffer = buffer
        self.moves = 0
        self.over = False
        self.error: BaseException | None = None
        self.finishing = False
        self._legs = legs
        self._clock = clock
        self._stall_timeout_s = stall_timeout_s
        self._reading = False
        self._quiet_since_s = clock.now()
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Send and move until the session has ended. Cancelling it ends the session."""
        self._task = asyncio.current_task()
        watch = None
        if self._stall_timeout_s is not None:
            watch = asyncio.create_task(self._watch(self._stall_timeout_s), name="rpe stall watchdog")
        try:
            while not self.over:
                await self._pump(self.leg)
                if not self.over:
                    self._go_on(await self._legs.open(self.leg))
        except Exception as error:
            self.end(error)
        except BaseException:
            self.leave()
            raise
        finally:
            self._task = None
            if watch is not None:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)

    def work(self) -> None:
        """There is something to send, or to do."""
        self._work.set()

    async def room(self) -> None:
        """Wait until there may be room for another chunk, or the session has ended."""
        self._room.clear()
        await self._room.wait()

    async def next_leg(self) -> None:
        """Wait until there is another leg in place of the one that failed, or the session has ended."""
        if not self.over:
            self._moved.clear()
            await self._moved.wait()

    def touch(self, *, reading: bool) -> None:
        """Take note that the caller waits for a result from now on, or that he waits no more."""
        self._reading = reading
        if self._stall_timeout_s is not None:
            self._quiet_since_s = self._clock.now()

    def add_pending(self) -> None:
        """Take note that a chunk was added; where it is the only unanswered one, silence counts from now."""
        if self._stall_timeout_s is not None and self.buffer.unanswered == 1:
            self._quiet_since_s = self._clock.now()
        self._work.set()

    def broke(self, leg: Leg, error: RpeError) -> None:
        """Take note that a leg has failed. Only the first failure of the current leg counts."""
        if leg is self.leg and leg.error is None and not self.over:
            self._work.set()
            leg.fail(error)

    def closed(self, leg: Leg) -> None:
        """Take note that the server has closed a leg in good order: the end, if it was asked to."""
        if leg.finished:
            self.end(None)
        else:
            early = "the server closed the session before it was asked to"
            self.broke(leg, StreamBroken(early, endpoint=leg.endpoint))

    def take(self, leg: Leg, sequence: int) -> bool:
        """Judge a result of a leg by its number; say whether the caller is to be given it."""
        if leg is not self.leg or leg.error is not None:
            return False
        verdict = self.buffer.take(sequence)
        if verdict is Verdict.FRESH:
            self._room.set()
            if not leg.fruitful:
                leg.fruitful = True
                self._legs.progressed(leg)
            return True
        if verdict is Verdict.UNASKED:
            told = f"an answer to chunk {sequence}, which was not sent on this leg"
            self.broke(leg, ProtocolViolation(told, endpoint=leg.endpoint))
        elif verdict is Verdict.LATE:
            told = f"an answer to chunk {sequence} came after one to chunk {self.buffer.last_answered}"
            self.broke(leg, ProtocolViolation(told, endpoint=leg.endpoint, retryable=False, hint=_LATE))
        return False

    def end(self, error: BaseException | None) -> None:
        """End the session with what its caller is told (None: in good order). Only the first call counts."""
        if self.over:
            return
        self.over = True
        leg, buffer = self.leg, self.buffer
        if isinstance(error, RpeError):
            error = final_error(error, leg.endpoint, self.moves, buffer)
        cancelled = error is not None and not isinstance(error, Exception)
        self.error = SessionClosed("the session was cancelled", endpoint=leg.endpoint) if cancelled else error
        buffer.clear()
        for waited in (self._work, self._room, self._moved):
            waited.set()
        try:
            if error is None:
                leg.succeed()
            else:
                leg.fail(error)
                if self._task is not None and self._task is not asyncio.current_task():
                    self._task.cancel()
        finally:
            self._legs.ended(leg, error)

    def leave(self) -> None:
        """End the session as the caller's own choice: nobody is blamed. Harmless where it has ended."""
        if not self.over:
            self.end(SessionClosed("the caller left the session before its end", endpoint=self.leg.endpoint))

    async def _pump(self, leg: Leg) -> None:
        """Send what there is, and what comes, until the leg has failed or the session has ended."""
        try:
            while leg.error is None and not self.over:
                if (chunk := self.buffer.next()) is not None:
                    await leg.session.send(
                        chunk.data,
                        node_id=chunk.node_id,
                        sequence=chunk.sequence,
                        timestamp_ms=chunk.timestamp_ms,
                    )
                elif self.finishing and not leg.finished:
                    leg.finished = True
                    await leg.session.finish()
                else:
                    self._work.clear()
                    await self._work.wait()
        except RpeError as error:
            self.broke(leg, error)

    def _go_on(self, leg: Leg) -> None:
        self.moves += 1
        self.leg = leg
        self.buffer.rewind()
        self._quiet_since_s = self._clock.now()
        self._moved.set()

    async def _watch(self, stall_timeout_s: float) -> None:
        """Take a leg for broken that is silent for too long while its caller waits for it."""
        clock = self._clock
        while True:
            now_s = clock.now()
            leg = self.leg
            due_s = now_s + stall_timeout_s
            if self._reading and leg.error is None and (self.buffer.unanswered or leg.finished):
                due_s = self._quiet_since_s + stall_timeout_s
                if due_s <= now_s:
                    owed = self.buffer.unanswered
                    told = f"nothing came for {stall_timeout_s:g} s, with {owed} chunks unanswered"
                    self._stalled(leg, StreamBroken(told, endpoint=leg.endpoint))
                    due_s = now_s + stall_timeout_s
            await clock.sleep_until(due_s)

    def _stalled(self, leg: Leg, error: StreamBroken) -> None:
        try:
            self.broke(leg, error)
        except Exception as odd:
            # An observer's own error; nobody awaits this task to be told of it.
            self.end(odd)
