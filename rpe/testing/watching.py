"""A brain that shows each call to its owner as it comes in, and does with it what any brain does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rpe.data import RuntimeData
from rpe.fakes.brain import Brain
from rpe.manifest.model import Manifest
from rpe.testing.calls import Call
from rpe.testing.handlers import CURRENT_CALL
from rpe.transport.serving import (
    ApplicationError,
    Damage,
    ReceivedChunk,
    Reply,
    ServerCall,
    ServerSession,
)

__all__ = ["WatchedBrain"]


class WatchedBrain(Brain):
    """Tells `on_call` of every execution and session before anything is done with it, refused ones too.

    Health checks and questions for the version are no calls.
    """

    on_call: Callable[[Call], None]

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._came = 0

    async def execute(self, call: ServerCall, manifest: Manifest, inputs: Mapping[str, RuntimeData]) -> Reply:
        """Answer a unary execution."""
        self._take(call, manifest, inputs)
        return await super().execute(call, manifest, inputs)

    async def stream(self, call: ServerCall, session: ServerSession) -> None:
        """Serve a session; its chunks are put into the call as they come."""
        taken = self._take(call, session.manifest, session.inputs)
        await super().stream(call, _WatchedSession(session, taken.chunks))

    def _take(self, call: ServerCall, manifest: Manifest, inputs: Mapping[str, RuntimeData]) -> Call:
        self._came += 1
        taken = Call(self._came, call, manifest, inputs)
        # Each call has a task, and so a context, of its own.
        CURRENT_CALL.set(taken)
        self.on_call(taken)
        return taken


class _WatchedSession:
    """Fills `ServerSession`: another one, whose chunks are kept in a list as well."""

    def __init__(self, session: ServerSession, chunks: list[ReceivedChunk]) -> None:
        self.manifest = session.manifest
        self.inputs = session.inputs
        self._session = session
        self._chunks = chunks

    async def receive(self) -> ReceivedChunk | None:
        chunk = await self._session.receive()
        if chunk is not None:
            self._chunks.append(chunk)
        return chunk

    async def ready(self, session_id: str, *, chunk_size: int = 0, max_latency_ms: int = 0) -> None:
        await self._session.ready(session_id, chunk_size=chunk_size, max_latency_ms=max_latency_ms)

    async def send(
        self,
        sequence: int,
        outputs: Mapping[str, RuntimeData],
        *,
        processing_ms: float = 0.0,
        damage: Damage | None = None,
    ) -> None:
        await self._session.send(sequence, outputs, processing_ms=processing_ms, damage=damage)

    async def send_error(self, error: ApplicationError) -> None:
        await self._session.send_error(error)

    async def send_metrics(self, chunks: int, average_latency_ms: float) -> None:
        await self._session.send_metrics(chunks, average_latency_ms)

    async def send_raw(self, payload: bytes) -> None:
        await self._session.send_raw(payload)

    async def closed(self, reason: str = "") -> None:
        await self._session.closed(reason)
