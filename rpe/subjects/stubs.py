"""A subject made of grpc.aio stubs and the codec: no pool, no policy, nothing of the reliable client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import grpc

from rpe.chaos.subject import SubjectOperation
from rpe.data import RuntimeData
from rpe.manifest.model import Manifest
from rpe.transport.ports import ATTEMPT_KEY, OPERATION_KEY
from rpe.wire.generated.remotemedia.v1 import execution_pb2, streaming_pb2
from rpe.wire.generated.remotemedia.v1.execution_pb2_grpc import PipelineExecutionServiceStub
from rpe.wire.generated.remotemedia.v1.streaming_pb2_grpc import StreamingPipelineServiceStub
from rpe.wire.manifest import encode_manifest
from rpe.wire.protobuf import decode, encode

__all__ = ["PipelineFailed", "StubSubject"]

CLIENT_VERSION = "v1"
_CLOSE = streaming_pb2.StreamRequest(
    control=streaming_pb2.StreamControl(command=streaming_pb2.StreamControl.COMMAND_CLOSE)
)


class PipelineFailed(Exception):
    """The server answered that the pipeline failed, or something else than a result."""


class StubSubject:
    """Fills `rpe.chaos.subject.Subject` with the stubs of one channel, which it closes in the end."""

    def __init__(self, channel: grpc.aio.Channel, manifest: Manifest, token: str | None) -> None:
        self._channel = channel
        self._manifest = encode_manifest(manifest)
        self._input = manifest.input_nodes[0].id
        self._metadata = () if token is None else (("authorization", f"Bearer {token}"),)
        self._execute: Any = PipelineExecutionServiceStub(channel).ExecutePipeline
        self._stream: Any = StreamingPipelineServiceStub(channel).StreamPipeline
        self._running = 0

    async def execute(self, operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        """Call ExecutePipeline once. Raises AioRpcError, or PipelineFailed."""
        request = execution_pb2.ExecuteRequest(
            manifest=self._manifest,
            data_inputs={name: encode(data) for name, data in operation.inputs.items()},
            client_version=CLIENT_VERSION,
        )
        self._running += 1
        try:
            response = await self._execute(
                request, timeout=operation.timeout_s, metadata=self._metadata_of(operation)
            )
        finally:
            self._running -= 1
        if response.WhichOneof("outcome") != "result":
            raise PipelineFailed(response.error.message or "no result in the answer")
        return _outputs(response.result.data_outputs)

    async def open_stream(self, operation: SubjectOperation) -> _StubStream:
        """Call StreamPipeline, send `init` and wait for `ready`. Raises AioRpcError, or PipelineFailed."""
        call = self._stream(timeout=operation.timeout_s, metadata=self._metadata_of(operation))
        opened = _StubStream(call, self._input)
        try:
            await opened.open(self._manifest)
        except BaseException:
            opened.cancel()
            raise
        return opened

    def in_flight(self) -> int:
        """Return how many unary calls wait for their answer."""
        return self._running

    async def close(self) -> None:
        """Close the channel; calls that run are cancelled."""
        await self._channel.close()

    def _metadata_of(self, operation: SubjectOperation) -> Sequence[tuple[str, str]]:
        return (*self._metadata, (OPERATION_KEY, operation.op), (ATTEMPT_KEY, "1"))


class _StubStream:
    def __init__(self, call: Any, node_id: str) -> None:
        self._call = call
        self._node_id = node_id

    async def open(self, manifest: Any) -> None:
        init = streaming_pb2.StreamInit(manifest=manifest, client_version=CLIENT_VERSION)
        await self._call.write(streaming_pb2.StreamRequest(init=init))
        response = await self._call.read()
        if response is grpc.aio.EOF or response.WhichOneof("response") != "ready":
            raise PipelineFailed("the session is not ready")

    async def send(self, sequence: int, data: RuntimeData) -> None:
        chunk = streaming_pb2.DataChunk(node_id=self._node_id, buffer=encode(data), sequence=sequence)
        await self._call.write(streaming_pb2.StreamRequest(data_chunk=chunk))

    async def receive(self) -> tuple[int, Mapping[str, RuntimeData]] | None:
        while (response := await self._call.read()) is not grpc.aio.EOF:
            kind = response.WhichOneof("response")
            if kind == "result":
                return response.result.sequence, _outputs(response.result.data_outputs)
            if kind == "error":
                raise PipelineFailed(response.error.message)
            if kind == "closed":
                return None
        raise PipelineFailed("the stream ended before it was closed")

    async def finish(self) -> None:
        await self._call.write(_CLOSE)
        await self._call.done_writing()

    def cancel(self) -> None:
        self._call.cancel()


def _outputs(outputs: Mapping[str, Any]) -> dict[str, RuntimeData]:
    return {name: decode(buffer) for name, buffer in outputs.items()}
