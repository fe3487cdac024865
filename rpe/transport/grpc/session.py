"""The client's end of a StreamPipeline call: numbered chunks out, results in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from rpe.data import RuntimeData
from rpe.errors import (
    ConnectionLost,
    DataValidationError,
    ProtocolViolation,
    RemoteTimeout,
    RpeError,
    SessionClosed,
    StreamBroken,
)
from rpe.manifest.model import Manifest
from rpe.transport import failures
from rpe.transport.credentials import NO_GRANT, Grant
from rpe.transport.grpc.status import being_cancelled, status_error
from rpe.transport.messages.chunks import chunk_bytes
from rpe.transport.messages.errors import application_error
from rpe.transport.ports import ChunkResult
from rpe.wire.generated.remotemedia.v1 import streaming_pb2
from rpe.wire.manifest import encode_manifest
from rpe.wire.protobuf import decode

__all__ = ["GrpcClientSession"]

_CLOSE = streaming_pb2.StreamRequest(
    control=streaming_pb2.StreamControl(command=streaming_pb2.StreamControl.COMMAND_CLOSE)
).SerializeToString()


_WRITE_FAILED = "Internal error from Core"
"""What gRPC says of a write that waited when its call ended, in the place of what the call ended with."""

_DEADLINE_IS_NEAR_S = 0.05


class GrpcClientSession:
    """Fills `rpe.transport.ports.ClientStreamSession` over one bidirectional call.

    gRPC ends the whole call when a pending read or write is cancelled, so cancelling
    `send` or `receive` ends the session; it says SessionClosed from then on.
    """

    def __init__(self, call: Any, endpoint: str, grant: Grant = NO_GRANT) -> None:
        self.endpoint = endpoint
        self.session_id = ""
        self.last_answered: int | None = None
        self.metrics: streaming_pb2.StreamMetrics | None = None
        self._call: Any | None = call
        self._grant = grant
        self._last_sent = -1
        self._finished = False
        self._closed = False
        self._error: RpeError | None = None

    async def open(self, manifest: Manifest, *, client_version: str, open_timeout_s: float) -> None:
        """Send `init` and wait for `ready`. On any failure the call is cancelled and the error raised."""
        init = streaming_pb2.StreamInit(manifest=encode_manifest(manifest), client_version=client_version)
        try:
            async with asyncio.timeout(open_timeout_s):
                await self._write(streaming_pb2.StreamRequest(init=init).SerializeToString())
                response = await self._read()
        except TimeoutError as error:
            self._error = RemoteTimeout(
                "the session was not ready in time", endpoint=self.endpoint, maybe_executed=False
            )
            self._release()
            raise self._error from error
        except BaseException:
            self.cancel()
            raise
        kind = response.WhichOneof("response") if response is not None else None
        if kind == "ready" and response is not None:
            self.session_id = response.ready.session_id
        elif kind == "error" and response is not None:
            raise self._fail(application_error(response.error, self.endpoint))
        elif response is None:
            raise self._fail(
                ConnectionLost(
                    "the session ended before it was ready", endpoint=self.endpoint, maybe_executed=False
                )
            )
        else:
            raise self._fail(
                ProtocolViolation(
                    f"the first answer of a session is {kind or 'empty'}", endpoint=self.endpoint
                )
            )

    async def send(
        self,
        data: RuntimeData | Mapping[str, RuntimeData],
        *,
        node_id: str,
        sequence: int,
        timestamp_ms: int = 0,
    ) -> None:
        """Send one chunk (see the port). Raises SessionClosed after `finish`, or the session's own error."""
        if self._finished or self._error is not None:
            raise self._dead()
        failures.check_rising(sequence, self._last_sent, self.endpoint)
        payload = chunk_bytes(data, node_id=node_id, sequence=sequence, timestamp_ms=timestamp_ms)
        self._last_sent = sequence
        await self._write(payload)

    async def receive(self) -> ChunkResult | None:
        """Return the next result (see the port). Metrics that come unasked are kept in `metrics`."""
        while True:
            if self._closed:
                return None
            if self._error is not None:
                raise self._error
            response = await self._read()
            if response is None:
                raise self._fail(
                    StreamBroken(
                        "the stream ended without being closed",
                        endpoint=self.endpoint,
                        last_sequence=self.last_answered,
                    )
                )
            kind = response.WhichOneof("response")
            if kind == "result":
                return self._read_result(response.result)
            if kind == "metrics":
                self.metrics = response.metrics
            elif kind == "closed":
                self._closed = True
                self._release()
            elif kind == "error":
                raise self._fail(application_error(response.error, self.endpoint))
            else:
                what = "a second `ready`" if kind == "ready" else "an empty message"
                raise self._fail(ProtocolViolation(f"{what} in a session", endpoint=self.endpoint))

    async def finish(self) -> None:
        """Ask the server to flush and close; results still come until `receive` returns None."""
        if self._finished or self._error is not None:
            return
        self._finished = True
        await self._write(_CLOSE)
        if self._closed:
            return  # the server was quick, and another task has received its answer already
        call = self._running()
        try:
            await call.done_writing()
        except (grpc.aio.AioRpcError, grpc.aio.InternalError, asyncio.InvalidStateError) as error:
            if self._closed:
                return
            broken = await self._broken(call, error)
            del call
            raise broken from self._grant.cause(error.with_traceback(None))

    def cancel(self) -> None:
        """End the call at once; harmless when it has ended."""
        if self._error is None and not self._closed:
            self._error = SessionClosed("the session was cancelled", endpoint=self.endpoint)
        self._release()

    async def _write(self, payload: bytes) -> None:
        call = self._running()
        try:
            await call.write(payload)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            broken = await self._broken(call, error)
            del call
            raise broken from self._grant.cause(error.with_traceback(None))
        except asyncio.CancelledError as error:
            del call
            raise self._cancelled(error) from error

    async def _read(self) -> streaming_pb2.StreamResponse | None:
        call = self._running()
        try:
            payload = await call.read()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            broken = await self._broken(call, error)
            del call
            raise broken from self._grant.cause(error.with_traceback(None))
        except asyncio.CancelledError as error:
            del call
            raise self._cancelled(error) from error
        if payload is grpc.aio.EOF:
            if await call.code() is grpc.StatusCode.OK:
                return None
            broken = await self._broken(call, None)
            del call
            raise broken
        try:
            return streaming_pb2.StreamResponse.FromString(payload)
        except DecodeError as error:
            raise self._fail(
                ProtocolViolation("an answer is not a StreamResponse", endpoint=self.endpoint)
            ) from error

    def _read_result(self, result: streaming_pb2.ChunkResult) -> ChunkResult:
        if result.sequence > max(self._last_sent, 0):
            raise self._fail(
                ProtocolViolation(
                    f"an answer to chunk {result.sequence}, but {self._last_sent} was the last one sent",
                    endpoint=self.endpoint,
                )
            )
        try:
            outputs = {name: decode(buffer) for name, buffer in result.data_outputs.items()}
        except DataValidationError as error:
            raise self._fail(
                ProtocolViolation(f"an answer is corrupted: {error.message}", endpoint=self.endpoint)
            ) from self._grant.cause(error)
        self.last_answered = result.sequence
        return ChunkResult(result.sequence, outputs, result.processing_time_ms)

    async def _broken(self, call: Any, error: BaseException | None) -> RpeError:
        """Find out why the call has ended, and make that the session's error."""
        if self._error is not None:
            return self._error
        if not isinstance(error, grpc.aio.AioRpcError):
            code = await call.code()
            if code is grpc.StatusCode.OK:
                return self._fail(
                    StreamBroken(
                        "the server ended the stream",
                        endpoint=self.endpoint,
                        last_sequence=self.last_answered,
                    )
                )
            error = grpc.aio.AioRpcError(
                code, await call.initial_metadata(), await call.trailing_metadata(), await call.details()
            )
        found = status_error(error, self.endpoint)
        if error.details() == _WRITE_FAILED and call.time_remaining() <= _DEADLINE_IS_NEAR_S:
            found = failures.timed_out("", self.endpoint)
        if isinstance(found, ConnectionLost) and self.session_id:
            found = StreamBroken(found.message, endpoint=self.endpoint, last_sequence=self.last_answered)
        return self._fail(found)

    def _running(self) -> Any:
        if self._call is None:
            raise self._dead()
        return self._call

    def _release(self) -> None:
        """End the call, and let go of it: as long as anything holds a call, gRPC holds its connection.

        An error that the caller keeps has a traceback, which holds the frames of the session
        and of gRPC. So no frame may keep a call (`del call`), nor the traceback of gRPC's own
        error be kept (`with_traceback`).
        """
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _cancelled(self, error: asyncio.CancelledError) -> BaseException:
        """Tell a cancel of this task from that of the call, which gRPC reports in the same way."""
        self.cancel()
        return error if being_cancelled() else self._dead()

    def _fail(self, error: RpeError) -> RpeError:
        if self._error is None:
            self._error = self._grant.judge(error, begun=self._last_sent >= 0)
        self._release()
        return self._error

    def _dead(self) -> RpeError:
        return self._error or SessionClosed("the session is closed", endpoint=self.endpoint)
