"""A peer that has sound and no data channel: its pipeline hears and answers on the track alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

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
    SessionBroken,
)
from rpe.transport.webrtc.media.serving import ServingMedia

__all__ = ["TrackServing"]

_LOG = logging.getLogger(__name__)


class TrackServing:
    """Runs one session of the handler, by the server's own manifest, until the peer is gone.

    Where the handler ends it before that, the peer hears silence: a track has no other way to tell.
    """

    def __init__(
        self,
        handler: PipelineHandler,
        manifest: Manifest,
        media: ServingMedia,
        call: ServerCall,
        cut: Callable[[], None],
    ) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self._handler = handler
        self._media = media
        self._cut = cut
        self._session = MuteSession(manifest)
        task = asyncio.get_running_loop().create_task(self._run(call))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def drain(self) -> None:
        """Hear nothing more; the session ends in good order."""
        self._session.ended.set()

    def cancel(self) -> None:
        """Cancel the session."""
        for task in self.tasks:
            task.cancel()

    async def _run(self, call: ServerCall) -> None:
        try:
            async with self._media.attached(self._session) as session:
                await self._handler.stream(call, session)
        except (Refusal, SessionBroken) as error:
            _LOG.debug("a session of sound alone ended: %s", error)
        except ConnectionCut:
            self._cut()
        except Exception:
            _LOG.exception("the handler of a session failed")


class MuteSession:
    """Fills `rpe.transport.serving.ServerSession` where there is no channel. `ended` lets it end."""

    inputs: Mapping[str, RuntimeData]

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.inputs = {}
        self.ended = asyncio.Event()

    async def ready(self, session_id: str, *, chunk_size: int = 0, max_latency_ms: int = 0) -> None:
        """Do nothing: sound comes as it will."""

    async def receive(self) -> ReceivedChunk | None:
        """Return None at the end."""
        await self.ended.wait()
        return None

    async def send(
        self,
        sequence: int,
        outputs: Mapping[str, RuntimeData],
        *,
        processing_ms: float = 0.0,
        damage: Damage | None = None,
    ) -> None:
        """Drop what is no sound."""

    async def send_error(self, error: ApplicationError) -> None:
        """Do nothing but log."""
        _LOG.debug("a session of sound alone failed: %s", error.message)

    async def send_metrics(self, chunks: int, average_latency_ms: float) -> None:
        """Do nothing."""

    async def send_raw(self, payload: bytes) -> None:
        """Do nothing."""

    async def closed(self, reason: str = "") -> None:
        """Do nothing."""
