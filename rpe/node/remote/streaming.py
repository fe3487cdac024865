"""A remote node that holds one session for each run: items are chunks, and results leave it as they come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from rpe.clock import Clock
from rpe.data import RuntimeData
from rpe.errors import RemoteTimeout, RpeError, StreamBroken
from rpe.node.contract import Emit, NodeCall, SelfDrivenNode
from rpe.node.marks import UNMARKED, answering, taken
from rpe.node.remote.sessions import Talk, open_talk
from rpe.node.remote.shared import Remote

__all__ = ["StreamingRemoteNode"]

_KEPT_CHUNKS = 4096
"""How many unanswered chunks are timed: some pipelines answer a chunk with nothing."""


class StreamingRemoteNode(SelfDrivenNode):
    """Opens the session with the first item, and ends it with the last one.

    Chunks go out in order, control messages among them. Both directions push back: while those after
    this node are full, no result is taken from the wire, and while the wire is full, no item from
    the queue. When the input ends, it waits for all results. Cancelling the run cancels the session.
    """

    __slots__ = ("_context", "_remote")

    def __init__(self, call: NodeCall) -> None:
        self._remote: Remote = call.shared
        self._context = call.context

    async def run(self, items: AsyncIterator[RuntimeData], emit: Emit) -> None:
        """Talk until the input has ended and all is answered; nothing is opened where there is none."""
        first = await anext(items, None)
        if first is None:
            return
        remote = self._remote
        conversation: _Conversation | None = None
        try:
            async with open_talk(remote, self._context) as talk:
                conversation = _Conversation(talk, remote, items, emit)
                await conversation.hold(first)
                remote.meter.answered(talk.step)
        except RpeError as error:
            if conversation is None or error is not conversation.not_ours:
                if conversation is not None:
                    error.endpoint = error.endpoint or conversation.endpoint
                remote.failed(error)
            raise


class _Conversation:
    """Three tasks around one session: one sends, one receives, one sees that the server does its part."""

    def __init__(self, talk: Talk, remote: Remote, items: AsyncIterator[RuntimeData], emit: Emit) -> None:
        self.not_ours: Exception | None = None
        """What failed before or after this node, and not in the session."""
        self._talk = talk
        self._remote = remote
        self._clock: Clock = remote.clock
        self._items = items
        self._emit = emit
        self._sent: deque[tuple[int, float, Any]] = deque(maxlen=_KEPT_CHUNKS)
        self._mark = UNMARKED  # of the item that the last result answers
        self._last_answered: int | None = None
        self._finished = self._sending = self._giving = False
        self._progress_s = self._clock.now()

    @property
    def endpoint(self) -> str | None:
        """Where the session is now."""
        return self._talk.endpoint

    async def hold(self, first: RuntimeData) -> None:
        """Talk until the input has ended and all is answered. Raises what ended it before, by itself."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send_all(first), name="remote node sends")
                watching = group.create_task(self._watch(), name="remote node watches")
                await self._receive_all()
                watching.cancel()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors.exceptions[0].__cause__

    async def _send_all(self, first: RuntimeData) -> None:
        data: RuntimeData | None = first
        sequence = 0
        while data is not None:
            self._progress_s, self._sending = self._clock.now(), True
            # Before it goes: its result may be here before `send` has come back.
            self._sent.append((sequence, self._progress_s, taken()))
            await self._talk.send(data, sequence)
            self._sending = False
            sequence += 1
            data = await self._following()
        await self._talk.finish()
        self._progress_s, self._finished = self._clock.now(), True

    async def _following(self) -> RuntimeData | None:
        try:
            return await anext(self._items, None)
        except Exception as error:
            self.not_ours = error
            raise

    async def _receive_all(self) -> None:
        while (result := await self._talk.receive()) is not None:
            self._progress_s = self._clock.now()
            if result.sequence is not None:
                self._answered(result.sequence)
            with answering(self._mark):
                for output in result.outputs:
                    await self._give(output)
        if not self._finished:
            raise StreamBroken(
                "the server closed the session while its input went on",
                endpoint=self._talk.endpoint,
                last_sequence=self._last_answered,
                hint="look at why the server ends sessions early",
            )

    async def _give(self, output: RuntimeData) -> None:
        self._giving = True
        try:
            await self._emit(output)
        except Exception as error:
            self.not_ours = error
            raise
        finally:
            self._giving, self._progress_s = False, self._clock.now()

    def _answered(self, sequence: int) -> None:
        """Time the chunk's first result, and learn which item it was. Results come in order."""
        if sequence != self._last_answered:
            self._mark = UNMARKED
        self._last_answered = sequence
        while self._sent and self._sent[0][0] <= sequence:
            number, started_s, mark = self._sent.popleft()
            if number == sequence:
                self._mark = mark
                self._remote.meter.took(self._progress_s - started_s)

    async def _watch(self) -> None:
        """End a session whose server owes something and is silent.

        It owes the rest of the results once it has all chunks, and room while a chunk cannot be
        sent. While chunks are taken it may keep silent: a pipeline may gather its input.
        """
        limit_s = self._remote.settings.timeout_s
        while True:
            await self._clock.sleep_until(self._progress_s + limit_s)
            now_s = self._clock.now()
            if now_s - self._progress_s < limit_s:
                continue
            if self._giving or not (self._finished or self._sending):
                self._progress_s = now_s
                continue
            owed = "had all chunks" if self._finished else "took no more chunks"
            raise RemoteTimeout(
                f"the server {owed} and was silent for {limit_s:.3f} s",
                endpoint=self._talk.endpoint,
                hint=_HINT if self._sending else None,
            )


_HINT = (
    "if the pipeline gathers its input and answers late, say `repeatable: false`: then nothing is kept here "
    "to be sent again, and no chunk waits for the answers to others"
)
