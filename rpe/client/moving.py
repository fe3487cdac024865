"""A session that survives the death of its endpoint: what was not answered is sent again elsewhere."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Self

from rpe.client.legs import Leg, LegSource
from rpe.client.moving_core import Mover
from rpe.client.replay import Chunk, ReplayBuffer
from rpe.client.replay_data import held_fast, size_bytes
from rpe.client.settings import ClientSettings
from rpe.clock import Clock
from rpe.data import RuntimeData
from rpe.errors import RpeError, SessionClosed
from rpe.transport.ports import ChunkResult

__all__ = ["MovingSession"]


class MovingSession:
    """A session that is moved to another endpoint when its own fails: fills `StreamSession`.

    It is for pipelines whose results for a chunk depend on that chunk alone, and come in the
    order of the chunks. Each chunk may have any number of results. Chunks are kept until they are
    answered; after a move those that were not are sent again under the same numbers. The caller
    is given every result once, in order, and sees of a move only that it took a moment.

    Each leg is one attempt, with an outcome of its own; the whole session is one operation.
    Moves follow the retry policy, draw on the retry budget and end with the session's deadline:
    after `max_retries` attempts without a new result the session ends with an error, which is
    StreamBroken where the network was at fault.

    Arguments:
        legs: where legs come from.
        leg: the first of them, ready.
        node_id: the node that chunks go to unless they are sent to another.
        start: begins a task that the maker of the session owns, as the loop holds tasks weakly.
    """

    def __init__(
        self,
        legs: LegSource,
        leg: Leg,
        node_id: str,
        settings: ClientSettings,
        clock: Clock,
        start: Callable[[Mover], asyncio.Task[None]],
    ) -> None:
        self._buffer = ReplayBuffer(settings.replay_chunks, settings.replay_bytes)
        self._mover = Mover(legs, leg, self._buffer, clock, settings.stream_stall_timeout_s)
        self._node_id = node_id
        self._task = start(self._mover)
        # A session that is simply dropped still ends its task and frees its place at the endpoint.
        self._finalizer = weakref.finalize(self, Mover.leave, self._mover)
        self._finalizer.atexit = False

    @property
    def endpoint(self) -> str:
        """The endpoint that the session is at now, or was at last."""
        return self._mover.leg.endpoint

    @property
    def session_id(self) -> str:
        """The name of the session at that endpoint."""
        return self._mover.leg.session.session_id

    @property
    def moves(self) -> int:
        """How often it has moved."""
        return self._mover.moves

    @property
    def last_answered(self) -> int | None:
        """The number of the last chunk of which a result was given; those before are confirmed."""
        return self._buffer.last_answered

    async def send(
        self,
        data: RuntimeData | Mapping[str, RuntimeData],
        *,
        node_id: str | None = None,
        sequence: int | None = None,
        timestamp_ms: int = 0,
    ) -> int:
        """Take one chunk for the pipeline's entry node, or for `node_id`; return its sequence number.

        Waits while as much is unanswered as the settings allow to keep. The chunk is sent once
        the wire takes it; its memory may be used again at once. Chunks are numbered from 0 unless
        `sequence` says otherwise. Raises the session's error; DataValidationError for a number
        that does not rise, which ends nothing. (A chunk that the wire cannot carry ends the session,
        since that is found later.) Cancelling it adds no chunk, and ends nothing.
        """
        mover, buffer = self._mover, self._buffer
        self._check_open()
        if sequence is None:
            sequence = buffer.next_sequence
        buffer.check(sequence)
        size = size_bytes(data)
        while not buffer.has_room(size):
            await mover.room()
            self._check_open()
        buffer.add(Chunk(sequence, held_fast(data), node_id or self._node_id, timestamp_ms, size))
        mover.add_pending()
        return sequence

    async def receive(self) -> ChunkResult | None:
        """Return the next result; None once the server has closed the session in good order.

        Waits through moves. Raises the session's error; cancelling it ends the session.
        """
        mover = self._mover
        mover.touch(reading=True)
        try:
            while not mover.over:
                leg = mover.leg
                if leg.error is not None:
                    await mover.next_leg()
                    continue
                try:
                    result = await leg.session.receive()
                except RpeError as error:
                    mover.broke(leg, error)
                    continue
                if result is None:
                    mover.closed(leg)
                elif mover.take(leg, result.sequence):
                    return result
        except BaseException as error:
            mover.end(error)
            raise
        finally:
            mover.touch(reading=False)
        if mover.error is not None:
            raise mover.error
        return None

    async def finish(self) -> None:
        """Say that no chunk follows; results still come until `receive` returns None.

        It is told to the server after the last chunk, and again after a move.
        """
        self._mover.finishing = True
        self._mover.work()

    def cancel(self) -> None:
        """End the session at once; the endpoint is not blamed. Harmless when it has ended."""
        self._mover.leave()

    def _check_open(self) -> None:
        mover = self._mover
        if mover.over and mover.error is not None:
            raise mover.error
        if mover.over or mover.finishing:
            raise SessionClosed("the session is closed", endpoint=self.endpoint)

    async def __aiter__(self) -> AsyncIterator[ChunkResult]:
        while (result := await self.receive()) is not None:
            yield result

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()
        if self._mover.error is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def __repr__(self) -> str:
        return f"MovingSession({self.session_id!r} at {self.endpoint}, {self.moves} moves)"
