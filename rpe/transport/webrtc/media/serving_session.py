"""A server's session that hears a track as well as a channel, and speaks on both."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Final

from rpe.data import Audio, RuntimeData
from rpe.manifest.model import Manifest
from rpe.transport.serving import ApplicationError, Damage, ReceivedChunk, ServerSession
from rpe.transport.webrtc.media.source import AudioSource

__all__ = ["MediaServerSession"]

_MOST_CHUNKS: Final = 64
"""How many chunks of the channel wait here before the channel itself is left to wait."""


class MediaServerSession:
    """Fills `rpe.transport.serving.ServerSession` around the session of a channel.

    What the track says comes as chunks for the pipeline's input node, between those of the
    channel, and all are numbered as they come. `Audio` outputs are played on the track; others,
    and damaged ones, go back on the channel. The end is that of the channel's session.

    Arguments:
        session: that of the channel; `read_channel` has to run beside the handler.
        source: what is played to the caller.
        heard: filled by whoever listens to the caller, who then sets `arrived`.
    """

    manifest: Manifest
    inputs: Mapping[str, RuntimeData]

    def __init__(
        self, session: ServerSession, source: AudioSource, heard: deque[Audio], arrived: asyncio.Event
    ) -> None:
        self.manifest = session.manifest
        self.inputs = session.inputs
        self._session = session
        self._source = source
        self._heard = heard
        self._arrived = arrived
        self._chunks: deque[ReceivedChunk] = deque()
        self._read = asyncio.Event()
        self._ended = False
        self._error: Exception | None = None
        self._sequence = 0

    async def read_channel(self) -> None:
        """Take the chunks of the channel as they come, until there are no more."""
        try:
            while (chunk := await self._session.receive()) is not None:
                self._chunks.append(chunk)
                self._arrived.set()
                while len(self._chunks) >= _MOST_CHUNKS:
                    self._read.clear()
                    await self._read.wait()
        except Exception as error:
            self._error = error  # for the handler, who would have met it
        finally:
            self._ended = True
            self._arrived.set()

    async def ready(self, session_id: str, *, chunk_size: int = 0, max_latency_ms: int = 0) -> None:
        """Tell the caller that chunks may come."""
        await self._session.ready(session_id, chunk_size=chunk_size, max_latency_ms=max_latency_ms)

    async def receive(self) -> ReceivedChunk | None:
        """Return what comes next on the track or the channel; None at the end of the channel's session."""
        while True:
            self._arrived.clear()
            if self._heard:
                return self._numbered(self.manifest.entry, self._heard.popleft())
            if self._chunks:
                chunk = self._chunks.popleft()
                self._read.set()
                return self._numbered(chunk.node_id, chunk.data, chunk.timestamp_ms)
            if self._error is not None:
                raise self._error
            if self._ended:
                return None
            await self._arrived.wait()

    async def send(
        self,
        sequence: int,
        outputs: Mapping[str, RuntimeData],
        *,
        processing_ms: float = 0.0,
        damage: Damage | None = None,
    ) -> None:
        """Play what is audio, waiting while much of it has not been heard, and send the rest."""
        rest = dict(outputs)
        if damage is None:
            for name, data in outputs.items():
                if isinstance(data, Audio):
                    del rest[name]
                    await self._source.put(data)
        if rest or not outputs:
            await self._session.send(sequence, rest, processing_ms=processing_ms, damage=damage)

    async def send_error(self, error: ApplicationError) -> None:
        """Send an error on the channel."""
        await self._session.send_error(error)

    async def send_metrics(self, chunks: int, average_latency_ms: float) -> None:
        """Send metrics on the channel."""
        await self._session.send_metrics(chunks, average_latency_ms)

    async def send_raw(self, payload: bytes) -> None:
        """Send bytes in the place of a message on the channel."""
        await self._session.send_raw(payload)

    async def closed(self, reason: str = "") -> None:
        """Wait until everything was heard, then tell the caller that the session has ended in good order."""
        await self._source.drain()
        await self._session.closed(reason)

    def _numbered(
        self, node_id: str, data: RuntimeData | Mapping[str, RuntimeData], timestamp_ms: int | None = None
    ) -> ReceivedChunk:
        sequence = self._sequence
        self._sequence += 1
        if timestamp_ms is None:
            timestamp_us = data.timestamp_us if isinstance(data, Audio) else None
            timestamp_ms = (timestamp_us or 0) // 1000
        return ReceivedChunk(node_id, data, sequence, timestamp_ms)
