"""Sessions of the reliable client, and the one that is bound to its endpoint."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Protocol, Self

from rpe.client.classify import outcome_of, pushback_of
from rpe.client.pool import Lease
from rpe.clock import Clock
from rpe.data import RuntimeData
from rpe.errors import DataValidationError, RpeError, SessionClosed
from rpe.policy.outcome import Outcome
from rpe.transport.ports import ChunkResult, ClientStreamSession

__all__ = ["ReliableSession", "StreamSession"]


class StreamSession(Protocol):
    """An open session: numbered chunks go out, results come in. Use it as an async context manager.

    Exactly one task may send, and exactly one may receive, at a time. After an error the
    session is dead and every further call raises that error.
    """

    @property
    def endpoint(self) -> str:
        """The endpoint that the session is at."""
        ...

    @property
    def session_id(self) -> str:
        """The server's own name of the session."""
        ...

    async def send(
        self,
        data: RuntimeData | Mapping[str, RuntimeData],
        *,
        node_id: str | None = None,
        sequence: int | None = None,
        timestamp_ms: int = 0,
    ) -> int:
        """Send one chunk to the pipeline's entry node, or to `node_id`; return its sequence number."""
        ...

    async def receive(self) -> ChunkResult | None:
        """Return the next result; None once the server has closed the session in good order."""
        ...

    async def finish(self) -> None:
        """Say that no chunk follows; results still come until `receive` returns None."""
        ...

    def cancel(self) -> None:
        """End the session at once; the endpoint is not blamed. Harmless when it has ended."""
        ...

    def __aiter__(self) -> AsyncIterator[ChunkResult]:
        """Iterate over the results until the session is closed."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ReliableSession:
    """An open session with one endpoint, to which it is bound: fills `StreamSession`.

    It is one attempt, whose outcome is known when the stream has ended.
    The attempt counts as a success when the server has closed the session in good order, as
    the endpoint's failure when the stream broke (also after good results), and as neutral
    when the caller walked away: by `cancel`, by leaving the context early, or by dropping
    the session altogether.
    """

    def __init__(
        self,
        session: ClientStreamSession,
        lease: Lease,
        node_id: str,
        clock: Clock,
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        self._session = session
        self._node_id = node_id
        self._next_sequence = 0
        self._ending = _Ending(session, lease, clock, on_end)
        # A session that is simply dropped still frees its place at the endpoint.
        self._finalizer = weakref.finalize(self, _Ending.abandon, self._ending)

    @property
    def endpoint(self) -> str:
        """The endpoint that the session is bound to."""
        return self._ending.lease.pick.member.key

    @property
    def session_id(self) -> str:
        """The server's own name of the session."""
        return self._session.session_id

    async def send(
        self,
        data: RuntimeData | Mapping[str, RuntimeData],
        *,
        node_id: str | None = None,
        sequence: int | None = None,
        timestamp_ms: int = 0,
    ) -> int:
        """Send one chunk to the pipeline's entry node, or to `node_id`; return its sequence number.

        Waits while the wire pushes back. Chunks are numbered from 0 unless `sequence` says
        otherwise. Raises the session's error; cancelling it ends the session.
        """
        if sequence is None:
            sequence = self._next_sequence
        try:
            await self._session.send(
                data, node_id=node_id or self._node_id, sequence=sequence, timestamp_ms=timestamp_ms
            )
        except BaseException as error:
            self._ending.failed(error)
            raise
        self._next_sequence = sequence + 1
        return sequence

    async def receive(self) -> ChunkResult | None:
        """Return the next result; None once the server has closed the session in good order.

        Raises the session's error, StreamBroken where the connection was lost; cancelling it
        ends the session.
        """
        try:
            result = await self._session.receive()
        except BaseException as error:
            self._ending.failed(error)
            raise
        if result is None:
            self._ending.end(Outcome.SUCCESS, None)
        return result

    async def finish(self) -> None:
        """Say that no chunk follows; results still come until `receive` returns None."""
        try:
            await self._session.finish()
        except BaseException as error:
            self._ending.failed(error)
            raise

    def cancel(self) -> None:
        """End the session at once; the endpoint is not blamed. Harmless when it has ended."""
        self._session.cancel()
        self._ending.abandon()

    async def __aiter__(self) -> AsyncIterator[ChunkResult]:
        while (result := await self.receive()) is not None:
            yield result

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def __repr__(self) -> str:
        return f"ReliableSession({self.session_id!r} at {self.endpoint})"


class _Ending:
    """How a session ended: kept apart from it, so that it can outlive a session that is dropped."""

    def __init__(
        self,
        session: ClientStreamSession,
        lease: Lease,
        clock: Clock,
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        self.lease = lease
        self._session = session
        self._clock = clock
        self._on_end = on_end

    def end(self, outcome: Outcome, error: BaseException | None) -> None:
        """Write the one outcome; only the first call counts."""
        if self.lease.ended:
            return
        if error is None:
            self.lease.succeed(self._clock.now())
        else:
            known = error if isinstance(error, RpeError) else None
            self.lease.fail(outcome, self._clock.now(), known, pushback_of(error))
        self._on_end(error)

    def failed(self, error: BaseException) -> None:
        """Take the error that ended the session. A chunk refused before it was sent ends nothing."""
        if type(error) is not DataValidationError:
            self.end(outcome_of(error), error)

    def abandon(self) -> None:
        """End it as the caller's own choice."""
        if not self.lease.ended:
            self._session.cancel()
            self.end(Outcome.NEUTRAL, SessionClosed("the caller left the session before its end"))
