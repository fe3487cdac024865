"""One data channel of plain mode: bare DataBuffers, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator

from aiortc import RTCDataChannel
from aiortc.exceptions import InvalidStateError
from google.protobuf.message import DecodeError

from rpe.data import RuntimeData
from rpe.errors import (
    ConnectionLost,
    DataValidationError,
    InvalidRequest,
    ProtocolViolation,
    RpeError,
    StreamBroken,
)
from rpe.transport.webrtc.outbox import Outbox
from rpe.wire.generated.remotemedia.v1.common_pb2 import DataBuffer
from rpe.wire.protobuf import decode, encode

__all__ = ["PlainChannel"]


class PlainChannel:
    """One channel of DataBuffers. What arrives waits here, up to `most_bytes`."""

    def __init__(self, channel: RTCDataChannel, endpoint: str, most_bytes: int) -> None:
        self.opened = asyncio.Event()
        """Set once it is open, or never will be."""
        self.error: RpeError | None = None
        self._endpoint = endpoint
        self._channel = channel
        self._most_bytes = most_bytes
        self._outbox = Outbox(channel)
        self._arrived: deque[bytes] = deque()
        self._arrived_bytes = 0
        self._reader: asyncio.Future[None] | None = None
        channel.on("open", self.opened.set)
        channel.on("message", self._take)
        channel.on("close", lambda: self.fail(ConnectionLost("the channel was closed", endpoint=endpoint)))

    async def send(self, data: RuntimeData) -> None:
        """Send one message, waiting while the channel is full. Raises InvalidRequest for one too large."""
        if self.error is not None:
            raise self.error
        try:
            waiting = self._outbox.write(0, _one(encode(data).SerializeToString()))
            if waiting is not None:
                await waiting
        except ValueError as error:
            raise InvalidRequest(
                f"the request is too large: {error}", endpoint=self._endpoint, hint="send less"
            ) from error
        except InvalidStateError as error:
            raise self._closed() from error

    async def receive(self) -> RuntimeData:
        """Return the next output. Raises ProtocolViolation where it is none, or the channel's own error."""
        while not self._arrived:
            if self.error is not None:
                raise self.error
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        message = self._arrived.popleft()
        self._arrived_bytes -= len(message)
        try:
            return decode(DataBuffer.FromString(message))
        except DecodeError as error:
            raise ProtocolViolation("an output is not a DataBuffer", endpoint=self._endpoint) from error
        except DataValidationError as error:
            raise ProtocolViolation(
                f"an output is corrupted: {error.message}", endpoint=self._endpoint
            ) from error

    def fail(self, error: RpeError) -> None:
        """Let nothing follow; who waits is told. The first error counts."""
        if self.error is None:
            self.error = error
        self.opened.set()
        self._outbox.fail(InvalidStateError("the channel is closed"))
        self._wake()

    def close(self, error: RpeError) -> None:
        """Close the channel, whose server then ends the session behind it."""
        self.fail(error)
        # Closing one that never opened, or whose connection is gone, has nothing to say to anybody.
        with contextlib.suppress(InvalidStateError, KeyError):
            self._channel.close()

    def _closed(self) -> RpeError:
        return self.error or ConnectionLost("the channel is closed", endpoint=self._endpoint)

    def _take(self, message: bytes | str) -> None:
        if self.error is not None:
            return
        if isinstance(message, str):
            self.close(ProtocolViolation("text came where a DataBuffer was due", endpoint=self._endpoint))
            return
        if self._arrived_bytes + len(message) > self._most_bytes:
            self.close(StreamBroken("outputs were not read, and more came", endpoint=self._endpoint))
            return
        self._arrived.append(message)
        self._arrived_bytes += len(message)
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def _one(payload: bytes) -> Iterator[bytes]:
    yield payload
