"""The gRPC client of one endpoint: wrapped stubs, no interceptors, one try per call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health_pb2

from rpe.data import RuntimeData
from rpe.errors import ConnectionLost, DataValidationError, ProtocolViolation, RpeError
from rpe.manifest.model import Manifest
from rpe.transport.credentials import Bearer
from rpe.transport.grpc.session import GrpcClientSession
from rpe.transport.grpc.settings import GrpcSettings
from rpe.transport.grpc.status import being_cancelled, status_error
from rpe.transport.messages.errors import application_error
from rpe.transport.ports import (
    NO_METADATA,
    ClientStreamSession,
    ExecutionResult,
    HealthReport,
    Metadata,
    NodeMetrics,
    ServingStatus,
    VersionReport,
)
from rpe.wire.generated.remotemedia.v1 import common_pb2, execution_pb2
from rpe.wire.generated.remotemedia.v1.execution_pb2 import ExecuteRequest, ExecuteResponse
from rpe.wire.generated.remotemedia.v1.execution_pb2 import ExecutionResult as ExecutionResultMessage
from rpe.wire.manifest import encode_manifest
from rpe.wire.protobuf import decode, encode

__all__ = ["CLIENT_VERSION", "GrpcPipelineClient"]

CLIENT_VERSION = "v1"

_MessageT = TypeVar("_MessageT", bound=Message)

_EXECUTE = "/remotemedia.v1.PipelineExecutionService/ExecutePipeline"
_VERSION = "/remotemedia.v1.PipelineExecutionService/GetVersion"
_STREAM = "/remotemedia.v1.StreamingPipelineService/StreamPipeline"
_HEALTH = "/grpc.health.v1.Health/Check"

_SERVING = {
    health_pb2.HealthCheckResponse.SERVING: ServingStatus.SERVING,
    health_pb2.HealthCheckResponse.NOT_SERVING: ServingStatus.NOT_SERVING,
}


class GrpcPipelineClient:
    """Fills `rpe.transport.ports.PipelineClient` over one grpc.aio channel.

    Answers are taken as bytes and decoded here: gRPC would log a decoding error and hand
    over None, and the caller could not tell which field was wrong.
    """

    def __init__(self, endpoint: str, settings: GrpcSettings) -> None:
        settings.check_token(endpoint)
        self.endpoint = endpoint
        self._settings = settings
        self._bearer = Bearer(settings.token, endpoint)
        self._channel = _make_channel(endpoint, settings)
        self._execute: Any = self._channel.unary_unary(_EXECUTE)
        self._stream: Any = self._channel.stream_stream(_STREAM)
        self._get_version: Any = self._channel.unary_unary(
            _VERSION, request_serializer=execution_pb2.VersionRequest.SerializeToString
        )
        self._check_health: Any = self._channel.unary_unary(
            _HEALTH, request_serializer=health_pb2.HealthCheckRequest.SerializeToString
        )
        self._has_health_service = True

    async def execute(
        self,
        manifest: Manifest,
        inputs: Mapping[str, RuntimeData],
        *,
        timeout_s: float,
        metadata: Metadata = NO_METADATA,
    ) -> ExecutionResult:
        """Run a pipeline once (see the port). Cancelling it cancels the call at the server."""
        # Messages that are joined end to end are read as one, so the manifest is serialized only once.
        request = (
            manifest.form("grpc", _head)
            + ExecuteRequest(
                data_inputs={name: encode(data) for name, data in inputs.items()}
            ).SerializeToString()
        )
        grant = self._bearer.fixed
        if grant is None:
            grant, timeout_s = await self._bearer.ask(timeout_s)
        # None where there is nothing to send: gRPC would copy even an empty tuple.
        pairs = (*grant.pairs, *metadata) or None
        try:
            payload = await self._execute(request, timeout=timeout_s, metadata=pairs)
        except grpc.aio.AioRpcError as error:
            # Without its traceback: its frames hold the call, and a call holds its connection.
            raise grant.judge(status_error(error, self.endpoint)) from grant.cause(error.with_traceback(None))
        except grpc.aio.UsageError as error:
            raise _closed(self.endpoint) from error
        except asyncio.CancelledError as error:
            if being_cancelled():
                raise
            raise ConnectionLost("the client was closed under the call", endpoint=self.endpoint) from error
        response = _parsed(ExecuteResponse, payload, self.endpoint)
        kind = response.WhichOneof("outcome")
        if kind == "result":
            return self._read_result(response.result)
        if kind == "error":
            raise grant.judge(application_error(response.error, self.endpoint))
        raise ProtocolViolation("the answer holds neither a result nor an error", endpoint=self.endpoint)

    async def open_stream(
        self,
        manifest: Manifest,
        *,
        timeout_s: float,
        open_timeout_s: float,
        metadata: Metadata = NO_METADATA,
    ) -> ClientStreamSession:
        """Open a session and wait until the server says that it is ready (see the port)."""
        grant, left_s = await self._bearer.ask(min(timeout_s, open_timeout_s))
        spent_s = min(timeout_s, open_timeout_s) - left_s
        try:
            call = self._stream(timeout=timeout_s - spent_s, metadata=(*grant.pairs, *metadata))
        except grpc.aio.UsageError as error:
            raise _closed(self.endpoint) from error
        session = GrpcClientSession(call, self.endpoint, grant)
        await session.open(manifest, client_version=CLIENT_VERSION, open_timeout_s=open_timeout_s - spent_s)
        return session

    async def check_health(self, *, timeout_s: float) -> HealthReport:
        """Ask `grpc.health.v1` where the server has it, and GetVersion where it has not."""
        if self._has_health_service:
            grant, timeout_s = await self._bearer.ask(timeout_s)
            try:
                payload = await self._check_health(
                    health_pb2.HealthCheckRequest(), timeout=timeout_s, metadata=grant.pairs
                )
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                    raise grant.judge(status_error(error, self.endpoint)) from grant.cause(
                        error.with_traceback(None)
                    )
                self._has_health_service = False
            else:
                return self._read_health(payload)
        version = await self.get_version(timeout_s=timeout_s)
        status = ServingStatus.SERVING if version.compatible else ServingStatus.NOT_SERVING
        return HealthReport(status, means="GetVersion", detail=version.message)

    async def get_version(self, *, timeout_s: float) -> VersionReport:
        """Ask the server what it speaks and which node types it knows (see the port)."""
        request = execution_pb2.VersionRequest(client_version=CLIENT_VERSION)
        grant, timeout_s = await self._bearer.ask(timeout_s)
        try:
            payload = await self._get_version(request, timeout=timeout_s, metadata=grant.pairs)
        except grpc.aio.AioRpcError as error:
            raise grant.judge(status_error(error, self.endpoint)) from grant.cause(error.with_traceback(None))
        response = _parsed(execution_pb2.VersionResponse, payload, self.endpoint)
        info = response.version_info
        return VersionReport(
            protocol_version=info.protocol_version,
            runtime_version=grant.hidden(info.runtime_version),
            node_types=tuple(info.supported_node_types),
            compatible=response.compatible,
            message=grant.hidden(response.compatibility_message),
        )

    async def close(self) -> None:
        """Close the channel; running calls end with ConnectionLost or cancellation."""
        await self._channel.close()

    def __repr__(self) -> str:
        return f"GrpcPipelineClient({self.endpoint!r})"

    def _read_result(self, result: ExecutionResultMessage) -> ExecutionResult:
        try:
            outputs = {name: decode(buffer) for name, buffer in result.data_outputs.items()}
        except DataValidationError as error:
            raise ProtocolViolation(
                f"the answer is corrupted: {error.message}", endpoint=self.endpoint
            ) from error
        partial = result.status == common_pb2.EXECUTION_STATUS_PARTIAL_SUCCESS
        if not result.HasField("metrics"):
            return ExecutionResult(outputs, partial=partial)
        metrics = result.metrics
        nodes = {
            name: NodeMetrics(node.execution_time_ms, node.memory_bytes, node.items_processed)
            for name, node in metrics.node_metrics.items()
        }
        return ExecutionResult(outputs, metrics.wall_time_ms, nodes, partial)

    def _read_health(self, payload: bytes | None) -> HealthReport:
        response = _parsed(health_pb2.HealthCheckResponse, payload, self.endpoint)
        status = _SERVING.get(response.status, ServingStatus.UNKNOWN)
        return HealthReport(status, means="grpc.health.v1")


def _head(manifest: Manifest) -> bytes:
    """Return the part of an ExecuteRequest that is the same for every call with this manifest."""
    return ExecuteRequest(
        manifest=encode_manifest(manifest), client_version=CLIENT_VERSION
    ).SerializeToString()


def _make_channel(endpoint: str, settings: GrpcSettings) -> grpc.aio.Channel:
    if settings.tls is None:
        return grpc.aio.insecure_channel(endpoint, options=settings.options())
    credentials = grpc.ssl_channel_credentials(
        root_certificates=settings.tls.root_certificates,
        private_key=settings.tls.private_key,
        certificate_chain=settings.tls.certificate_chain,
    )
    return grpc.aio.secure_channel(endpoint, credentials, options=settings.options())


def _closed(endpoint: str) -> RpeError:
    return ConnectionLost("the client is closed", endpoint=endpoint, maybe_executed=False, retryable=False)


def _parsed(kind: type[_MessageT], payload: bytes | None, endpoint: str) -> _MessageT:
    """Read an answer. gRPC hands over None where a server ended a call well, and sent no message."""
    name = kind.DESCRIPTOR.name
    if payload is None:
        raise ProtocolViolation(f"the server ended the call well, but sent no {name}", endpoint=endpoint)
    try:
        return kind.FromString(payload)
    except DecodeError as error:
        raise ProtocolViolation(f"the answer is not a {name}", endpoint=endpoint) from error
