"""The server's end of a session in plain mode."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping

from aiortc import RTCDataChannel
from aiortc.exceptions import InvalidStateError
from google.protobuf.message import DecodeError

from rpe.data import RuntimeData
from rpe.errors import DataValidationError
from rpe.manifest.model import Manifest
from rpe.transport.messages.damage import damaged_buffer
from rpe.transport.serving import (
    ApplicationError,
    Damage,
    ReceivedChunk,
    Refusal,
    SessionBroken,
    StatusCode,
)
from rpe.transport.webrtc.outbox import Outbox
from rpe.wire.generated.remotemedia.v1.common_pb2 import DataBuffer
from rpe.wire.protobuf import decode, encode

__all__ = ["PlainServerSession"]

_LOG = logging.getLogger(__name__)


class PlainServerSession:
    """Fills `rpe.transport.serving.ServerSession`: chunks are numbered as they arrive."""

    inputs: Mapping[str, RuntimeData]

    def __init__(self, channel: RTCDataChannel, manifest: Manifest, most_bytes: int) -> None:
        self.manifest = manifest
        self.inputs = {}
        self._outbox = Outbox(channel)
        self._most_bytes = most_bytes
        self._arrived: asyncio.Queue[bytes | str | None] = asyncio.Queue()
        self._arrived_bytes = 0
        self._ended = False
        self._sequence = 0

    def arrive(self, message: bytes | str) -> bool:
        """Take a message of the channel. Returns False where more wait to be read than may."""
        if self._ended:
            return True
        self._arrived_bytes += len(message)
        if self._arrived_bytes > self._most_bytes:
            return False
        self._arrived.put_nowait(message)
        return True

    def end(self) -> None:
        """Let nothing follow what has arrived; who waits to send learns that nobody is there."""
        if not self._ended:
            self._ended = True
            self._arrived.put_nowait(None)

    async def ready(self, session_id: str, *, chunk_size: int = 0, max_latency_ms: int = 0) -> None:
        """Do nothing: whoever has a channel may send."""

    async def receive(self) -> ReceivedChunk | None:
        """Return the next chunk, None once the channel is closed. Raises SessionBroken for no data."""
        message = await self._arrived.get()
        if message is None:
            self._arrived.put_nowait(None)
            return None
        self._arrived_bytes -= len(message)
        try:
            if isinstance(message, str):
                raise DataValidationError("text came where a DataBuffer was due")
            data = decode(DataBuffer.FromString(message))
        except (DecodeError, DataValidationError) as error:
            raise SessionBroken(f"a message is no DataBuffer: {error}") from error
        chunk = ReceivedChunk(self.manifest.entry, data, self._sequence)
        self._sequence += 1
        return chunk

    async def send(
        self,
        sequence: int,
        outputs: Mapping[str, RuntimeData],
        *,
        processing_ms: float = 0.0,
        damage: Damage | None = None,
    ) -> None:
        """Send each output as a message of its own, waiting while the wire pushes back."""
        for data in outputs.values():
            buffer = encode(data)
            await self.send_raw(
                buffer.SerializeToString() if damage is None else damaged_buffer(buffer, damage)
            )

    async def send_error(self, error: ApplicationError) -> None:
        """Do nothing: plain mode has no word for it, and the channel closes as the session ends."""
        _LOG.debug("a plain session failed: %s", error.message)

    async def send_metrics(self, chunks: int, average_latency_ms: float) -> None:
        """Do nothing: plain mode has no metrics."""

    async def send_raw(self, payload: bytes) -> None:
        """Send bytes in the place of a message."""
        try:
            waiting = self._outbox.write(0, _one(payload))
            if waiting is not None:
                await waiting
        except InvalidStateError as error:
            raise Refusal(StatusCode.CANCELLED, "the caller is gone") from error
        except ValueError as error:
            raise Refusal(StatusCode.INVALID_ARGUMENT, f"an output is too large: {error}") from error

    async def closed(self, reason: str = "") -> None:
        """Do nothing: the channel closes as the session ends."""


def _one(payload: bytes) -> Iterator[bytes]:
    yield payload
