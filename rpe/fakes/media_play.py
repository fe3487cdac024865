"""A session with a fake brain and no wire: for time that a test holds, and for looking at what goes out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.data import RuntimeData
from rpe.manifest.model import Manifest
from rpe.transport.serving import (
    ApplicationError,
    ConnectionCut,
    Damage,
    PipelineHandler,
    ReceivedChunk,
    Refusal,
    ServerCall,
)

__all__ = ["LocalSession", "PlayedResult", "play"]


@dataclass(frozen=True, slots=True)
class PlayedResult:
    """One result as it went out: when, by the session's clock, for which chunk, and what."""

    at_s: float
    sequence: int
    outputs: Mapping[str, RuntimeData]

    @property
    def output(self) -> RuntimeData:
        """The output called `output`, or else the first."""
        return self.outputs["output"] if "output" in self.outputs else next(iter(self.outputs.values()))


class LocalSession:
    """Fills `rpe.transport.serving.ServerSession` in this process, and remembers all that is sent.

    `results` are those of the session. `closings` counts how often it was told to be closed,
    and `error` is what ended it in another way, where something did: an error of the
    pipeline, or the Refusal or ConnectionCut of the handler.
    """

    def __init__(self, manifest: Manifest, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.manifest = manifest
        self.inputs: Mapping[str, RuntimeData] = {}
        self.session_id = ""
        self.results: list[PlayedResult] = []
        self.raw: list[bytes] = []
        self.closings = 0
        self.error: ApplicationError | Refusal | ConnectionCut | None = None
        self._clock = clock
        self._chunks: asyncio.Queue[ReceivedChunk | None] = asyncio.Queue()
        self._count = 0

    def put(self, data: RuntimeData) -> None:
        """Send a chunk to the pipeline's input node; chunks are numbered from 0."""
        self._chunks.put_nowait(ReceivedChunk(self.manifest.entry, data, self._count))
        self._count += 1

    def finish(self) -> None:
        """Say that no chunk follows."""
        self._chunks.put_nowait(None)

    async def ready(self, session_id: str, *, chunk_size: int = 0, max_latency_ms: int = 0) -> None:
        """Remember the name of the session."""
        self.session_id = session_id

    async def receive(self) -> ReceivedChunk | None:
        """Return the next chunk, None once there are no more."""
        return await self._chunks.get()

    async def send(
        self,
        sequence: int,
        outputs: Mapping[str, RuntimeData],
        *,
        processing_ms: float = 0.0,
        damage: Damage | None = None,
    ) -> None:
        """Remember a result. There are no bytes here that a damage could be done to."""
        self.results.append(PlayedResult(self._clock.now(), sequence, dict(outputs)))

    async def send_error(self, error: ApplicationError) -> None:
        """Remember the error that ends the session."""
        self.error = error

    async def send_metrics(self, chunks: int, average_latency_ms: float) -> None:
        """Do nothing: metrics are no result."""

    async def send_raw(self, payload: bytes) -> None:
        """Remember bytes that came in the place of a message."""
        self.raw.append(payload)

    async def closed(self, reason: str = "") -> None:
        """Count that the session was closed."""
        self.closings += 1


async def play(
    handler: PipelineHandler,
    manifest: Manifest,
    chunks: Iterable[RuntimeData],
    *,
    every_s: float = 0.0,
    clock: Clock = SYSTEM_CLOCK,
) -> LocalSession:
    """Play chunks to a handler in this process, one every so many seconds of the clock.

    With a `rpe.testing.clock.ManualClock` shared with the handler, as in
    `await clock.run(play(brain, manifest, chunks, every_s=0.02, clock=clock))`, no time
    passes but the clock's own. Returns the session; cancelling it cancels the handler.
    """
    session = LocalSession(manifest, clock=clock)
    call = ServerCall("stream", "in this process", {}, None)

    async def feed() -> None:
        began_s = clock.now()
        for number, chunk in enumerate(chunks):
            await clock.sleep_until(began_s + number * every_s)
            session.put(chunk)
        session.finish()

    feeding = asyncio.create_task(feed())
    try:
        await handler.stream(call, session)
    except (Refusal, ConnectionCut) as error:
        session.error = error
    finally:
        feeding.cancel()
        await asyncio.wait([feeding])
    if not feeding.cancelled() and (failed := feeding.exception()) is not None:
        raise failed
    return session
