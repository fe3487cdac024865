"""The wire of the hand-written clients: raw grpc.aio stubs, and what their errors mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rpe.data import RuntimeData
from rpe.errors import (
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    InvalidRequest,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteOverloaded,
    RemoteTimeout,
    RemoteUnavailable,
    RpeError,
)
from rpe.manifest.model import Manifest
from rpe.wire.generated.remotemedia.v1 import execution_pb2, streaming_pb2
from rpe.wire.generated.remotemedia.v1.execution_pb2_grpc import PipelineExecutionServiceStub
from rpe.wire.generated.remotemedia.v1.streaming_pb2_grpc import StreamingPipelineServiceStub
from rpe.wire.manifest import encode_manifest
from rpe.wire.protobuf import encode

__all__ = ["CLOSE", "VERSION", "Wire", "chunk_request", "execute_request", "failure", "init_request"]

VERSION = "v1"
CLOSE = streaming_pb2.StreamRequest(
    control=streaming_pb2.StreamControl(command=streaming_pb2.StreamControl.COMMAND_CLOSE)
)
OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    # In spite of its name this is the time one connection attempt is given; gRPC's own is 20 s.
    ("grpc.min_reconnect_backoff_ms", 1000),
)


class Wire:
    """One channel to one server, and its stubs."""

    def __init__(self, address: str, *more: tuple[str, str]) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=[*OPTIONS, *more])
        health: Any = health_pb2_grpc.HealthStub(self._channel)
        self.execute: Any = PipelineExecutionServiceStub(self._channel).ExecutePipeline
        self.stream: Any = StreamingPipelineServiceStub(self._channel).StreamPipeline
        self._check = health.Check

    async def healthy(self, timeout_s: float) -> bool:
        """Ask the server whether it serves."""
        try:
            answer = await self._check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer is not None and answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def close(self) -> None:
        """Close the channel; calls that run are cancelled."""
        await self._channel.close()


def execute_request(manifest: Manifest, inputs: Mapping[str, RuntimeData]) -> execution_pb2.ExecuteRequest:
    return execution_pb2.ExecuteRequest(
        manifest=encode_manifest(manifest),
        data_inputs={name: encode(data) for name, data in inputs.items()},
        client_version=VERSION,
    )


def init_request(manifest: Manifest) -> streaming_pb2.StreamRequest:
    return streaming_pb2.StreamRequest(
        init=streaming_pb2.StreamInit(manifest=encode_manifest(manifest), client_version=VERSION)
    )


def chunk_request(node_id: str, sequence: int, data: RuntimeData) -> streaming_pb2.StreamRequest:
    chunk = streaming_pb2.DataChunk(node_id=node_id, buffer=encode(data), sequence=sequence)
    return streaming_pb2.StreamRequest(data_chunk=chunk)


def failure(error: grpc.aio.AioRpcError) -> RpeError:
    """Say what a status means. What may have been executed is judged strictly."""
    details = error.details() or "no details"
    code = error.code()
    if code is grpc.StatusCode.UNAVAILABLE and "failed to connect" in details.lower():
        return ConnectFailed(details)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return RemoteOverloaded(details, retry_after_s=_pushback_s(error.trailing_metadata() or ()))
    return _MEANING.get(code, ConnectionLost)(f"{code.name}: {details}")


def _pushback_s(trailers: Iterable[tuple[str, str | bytes]]) -> float | None:
    """When to come again, in seconds, where the server says so (gRFC A6)."""
    for key, value in trailers:
        if key == "grpc-retry-pushback-ms":
            return int(value) / 1000
    return None


_MEANING: dict[grpc.StatusCode, type[RpeError]] = {
    grpc.StatusCode.UNAVAILABLE: RemoteUnavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: RemoteTimeout,
    grpc.StatusCode.UNAUTHENTICATED: AuthenticationFailed,
    grpc.StatusCode.PERMISSION_DENIED: AuthenticationFailed,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.INTERNAL: RemoteExecutionFailed,
    grpc.StatusCode.UNIMPLEMENTED: ProtocolViolation,
}
