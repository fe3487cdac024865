"""The server's end of a session in pipeline mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from aiortc.exceptions import InvalidStateError
from google.protobuf.message import DecodeError

from rpe.data import RuntimeData
from rpe.errors import DataValidationError, ManifestInvalid
from rpe.manifest.model import Manifest
from rpe.transport.messages.answers import error_message, result_bytes
from rpe.transport.messages.requests import read_chunk, read_pipeline
from rpe.transport.serving import (
    ApplicationError,
    Damage,
    ErrorType,
    ReceivedChunk,
    Refusal,
    SessionBroken,
    StatusCode,
)
from rpe.transport.webrtc.framing import FrameType, encode, split
from rpe.transport.webrtc.inbox import Inbox
from rpe.transport.webrtc.link import Link
from rpe.wire.generated.remotemedia.v1 import streaming_pb2

__all__ = ["WebrtcServerSession", "is_cancel"]

_CONTROL_IS_SHORT = 32
_COMMANDS = streaming_pb2.StreamControl


class WebrtcServerSession:
    """Fills `rpe.transport.serving.ServerSession`.

    Messages arrive in `inbox`; whoever puts them there sees a COMMAND_CANCEL by `is_cancel`,
    also while the handler is busy.
    """

    manifest: Manifest
    inputs: Mapping[str, RuntimeData]

    def __init__(self, link: Link, number: int, inbox: Inbox, *, lossy: bool, max_message_bytes: int) -> None:
        self._link = link
        self._number = number
        self._inbox = inbox
        self._lossy = lossy
        self._most_bytes = max_message_bytes
        self._sent = 0
        self._last = -1
        self._ended = False
        self._session_id = ""
        self._results = 0

    async def open(self) -> bool:
        """Read `init`. Returns False where the caller sent nothing at all.

        Raises Refusal without a manifest, SessionBroken where something else came first
        or the manifest is not valid (the caller has then been told).
        """
        payload = await self._inbox.read()
        if payload is None:
            return False
        try:
            request = streaming_pb2.StreamRequest.FromString(payload)
        except DecodeError:
            await self._break(_invalid("the first message is not a StreamRequest"))
        if request.WhichOneof("request") != "init":
            await self._break(_invalid("the first message of a session must be init"))
        if not request.init.HasField("manifest"):
            raise Refusal(StatusCode.INVALID_ARGUMENT, "init has no manifest")
        try:
            self.manifest, self.inputs = read_pipeline(request.init.manifest, request.init.data_inputs)
        except (DataValidationError, ManifestInvalid) as error:
            await self._break(_invalid(error.message))
        return True

    async def ready(self, session_id: str, *, chunk_size: int = 0, max_latency_ms: int = 0) -> None:
        """Tell the caller that chunks may come."""
        self._session_id = session_id
        ready = streaming_pb2.StreamReady(
            session_id=session_id, recommended_chunk_size=chunk_size, max_buffer_latency_ms=max_latency_ms
        )
        await self._write(streaming_pb2.StreamResponse(ready=ready))

    async def receive(self) -> ReceivedChunk | None:
        """Return the next chunk, None once there are no more (see the port)."""
        while not self._ended:
            payload = await self._inbox.read()
            if payload is None:
                self._ended = True
                break
            try:
                request = streaming_pb2.StreamRequest.FromString(payload)
                if request.WhichOneof("request") == "control":
                    self._ended = request.control.command == _COMMANDS.COMMAND_CLOSE
                    continue
                chunk = read_chunk(request)
            except DecodeError:
                await self._break(_invalid("a message is not a StreamRequest"))
            except DataValidationError as error:
                await self._break(_invalid(error.message))
            if chunk.sequence > self._last:
                self._last = chunk.sequence
                return chunk
            if not self._lossy:
                await self._break(
                    _invalid(f"the sequence must rise: {chunk.sequence} came after {self._last}")
                )
            # On a lossy session it is late: those after it have been dealt with.
        return None

    async def send(
        self,
        sequence: int,
        outputs: Mapping[str, RuntimeData],
        *,
        processing_ms: float = 0.0,
        damage: Damage | None = None,
    ) -> None:
        """Send one result, waiting while the wire pushes back."""
        self._results += 1
        payload = result_bytes(sequence, outputs, processing_ms, self._results, damage)
        await self._send(payload, lossy=self._lossy)

    async def send_error(self, error: ApplicationError) -> None:
        """Send an error inside the stream."""
        await self._write(streaming_pb2.StreamResponse(error=error_message(error)))

    async def send_metrics(self, chunks: int, average_latency_ms: float) -> None:
        """Send metrics, unasked."""
        metrics = streaming_pb2.StreamMetrics(
            session_id=self._session_id,
            chunks_processed=chunks,
            average_latency_ms=average_latency_ms,
            total_items=self._results,
        )
        await self._write(streaming_pb2.StreamResponse(metrics=metrics))

    async def send_raw(self, payload: bytes) -> None:
        """Send bytes in the place of a message."""
        await self._send(payload)

    async def closed(self, reason: str = "") -> None:
        """Tell the caller that the session has ended in good order."""
        closed = streaming_pb2.StreamClosed(session_id=self._session_id, reason=reason)
        await self._write(streaming_pb2.StreamResponse(closed=closed))

    def end_frame(self) -> bytes:
        """Return the END of everything that was sent."""
        return encode(FrameType.END, self._number, self._sent)

    async def _write(self, response: streaming_pb2.StreamResponse) -> None:
        await self._send(response.SerializeToString())

    async def _send(self, payload: bytes, *, lossy: bool = False) -> None:
        if len(payload) > self._most_bytes:
            raise Refusal(
                StatusCode.INVALID_ARGUMENT,
                f"a result of {len(payload)} bytes, and at most {self._most_bytes} are sent",
            )
        limit = self._link.limit
        messages = split(self._number, self._sent, payload, limit=limit)
        self._sent += 1
        try:
            # What has to be split would be lost as a whole with any of its parts.
            waiting = self._link.write(self._number, messages, lossy=lossy and len(payload) < limit // 2)
            if waiting is not None:
                await waiting
        except InvalidStateError as error:
            raise Refusal(StatusCode.CANCELLED, "the caller is gone") from error

    async def _break(self, error: ApplicationError) -> NoReturn:
        await self.send_error(error)
        raise SessionBroken(error.message)


def is_cancel(payload: bytes) -> bool:
    """Say whether a message of a caller is COMMAND_CANCEL."""
    if len(payload) > _CONTROL_IS_SHORT:
        return False
    try:
        request = streaming_pb2.StreamRequest.FromString(payload)
    except DecodeError:
        return False
    return request.WhichOneof("request") == "control" and request.control.command == _COMMANDS.COMMAND_CANCEL


def _invalid(message: str) -> ApplicationError:
    return ApplicationError(ErrorType.VALIDATION, message)
