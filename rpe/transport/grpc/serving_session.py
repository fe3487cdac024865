"""The server's end of a StreamPipeline call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import NoReturn, Self

import grpc
from google.protobuf.message import DecodeError

from rpe.data import RuntimeData
from rpe.errors import DataValidationError, ManifestInvalid
from rpe.manifest.model import Manifest
from rpe.transport.grpc.running import Context
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
from rpe.wire.generated.remotemedia.v1 import streaming_pb2

__all__ = ["GrpcServerSession"]

_CANCEL_TAKES_S = 0.02
"""How long after the end of the reading a cancel may still come, where the caller did not say `close`."""

_READ_AHEAD = 16
"""How many chunks are read before the handler asks for them; more than that, and the wire pushes back."""

_Item = ReceivedChunk | ApplicationError | None


class GrpcServerSession:
    """Fills `rpe.transport.serving.ServerSession`.

    A task of its own reads ahead, so that COMMAND_CANCEL reaches a handler that is busy.
    Used as a context: leaving it ends that task.
    """

    manifest: Manifest
    inputs: Mapping[str, RuntimeData]

    def __init__(self, context: Context) -> None:
        self._context = context
        handler = asyncio.current_task()
        assert handler is not None
        self._handler = handler
        self._chunks: asyncio.Queue[_Item] = asyncio.Queue(_READ_AHEAD)
        self._reader: asyncio.Task[None] | None = None
        self._ended = False
        self._session_id = ""
        self._results = 0
        self._cancelled = False
        self._writing = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
        if self._cancelled and kind is asyncio.CancelledError and not self._handler.uncancel():
            raise Refusal(StatusCode.CANCELLED, "the caller cancelled the session") from error

    async def open(self) -> bool:
        """Read `init`. Returns False where the caller sent nothing at all.

        Raises Refusal without a manifest, SessionBroken where something else came first
        or the manifest is not valid (the caller has then been told).
        """
        payload = await self._context.read()
        if payload is grpc.aio.EOF:
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
        self._reader = asyncio.create_task(self._read_ahead())
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
        if self._ended:
            return None
        item = await self._chunks.get()
        if isinstance(item, ApplicationError):
            await self._break(item)
        self._ended = item is None
        return item

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
        await self.send_raw(result_bytes(sequence, outputs, processing_ms, self._results, damage))

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
        self._writing = True
        try:
            await self._context.write(payload)
        finally:
            self._writing = False
        if self._cancelled:
            self._handler.cancel()
            await asyncio.sleep(0)  # where the cancellation takes effect

    async def closed(self, reason: str = "") -> None:
        """Tell the caller that the session has ended in good order."""
        closed = streaming_pb2.StreamClosed(session_id=self._session_id, reason=reason)
        await self._write(streaming_pb2.StreamResponse(closed=closed))

    async def _write(self, response: streaming_pb2.StreamResponse) -> None:
        await self.send_raw(response.SerializeToString())

    async def _break(self, error: ApplicationError) -> NoReturn:
        await self.send_error(error)
        raise SessionBroken(error.message)

    async def _read_ahead(self) -> None:
        """Put chunks into the queue until the caller stops, breaks a rule, or cancels."""
        last = -1
        closing = False
        while (payload := await self._context.read()) is not grpc.aio.EOF:
            try:
                request = streaming_pb2.StreamRequest.FromString(payload)
                if request.WhichOneof("request") == "control":
                    command = request.control.command
                    if command == streaming_pb2.StreamControl.COMMAND_CANCEL:
                        self._cancelled = True
                        # A write that is broken off keeps its place in gRPC's core, which then refuses
                        # the status, and the caller would wait for one until its deadline.
                        if not self._writing:
                            self._handler.cancel()
                        return
                    if command == streaming_pb2.StreamControl.COMMAND_CLOSE and not closing:
                        closing = True
                        await self._chunks.put(None)
                    continue
                chunk = read_chunk(request)
            except DecodeError:
                await self._chunks.put(_invalid("a message is not a StreamRequest"))
                return
            except DataValidationError as error:
                await self._chunks.put(_invalid(error.message))
                return
            if closing:
                continue
            if chunk.sequence <= last:
                await self._chunks.put(
                    _invalid(f"the sequence must rise: {chunk.sequence} came after {last}")
                )
                return
            last = chunk.sequence
            await self._chunks.put(chunk)
        if not closing:
            # A caller's cancel ends the reading as well, and gRPC may tell of it a moment later.
            await asyncio.sleep(_CANCEL_TAKES_S)
            await self._chunks.put(None)


def _invalid(message: str) -> ApplicationError:
    return ApplicationError(ErrorType.VALIDATION, message)
