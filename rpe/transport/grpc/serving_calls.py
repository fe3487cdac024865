"""The methods of the two pipeline services: bytes in, a question to the handler, bytes out."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from rpe.errors import DataValidationError, ManifestInvalid
from rpe.transport.grpc.answers import reply_bytes, version_bytes
from rpe.transport.grpc.running import Context, RunningCalls, server_call
from rpe.transport.grpc.serving_session import GrpcServerSession
from rpe.transport.messages.requests import read_pipeline
from rpe.transport.serving import (
    ApplicationError,
    ErrorType,
    PipelineHandler,
    Refusal,
    StatusCode,
)
from rpe.wire.generated.remotemedia.v1 import execution_pb2

__all__ = ["EXECUTION_SERVICE", "SERVICES", "STREAMING_SERVICE", "pipeline_handlers"]

EXECUTION_SERVICE = "remotemedia.v1.PipelineExecutionService"
STREAMING_SERVICE = "remotemedia.v1.StreamingPipelineService"
SERVICES = (EXECUTION_SERVICE, STREAMING_SERVICE)


_Method = Callable[[PipelineHandler, bytes, Context], Coroutine[Any, Any, bytes]]


def pipeline_handlers(handler: PipelineHandler, calls: RunningCalls) -> Iterable[grpc.GenericRpcHandler]:
    """Return both services as gRPC takes them, with no serializers: bytes come and go."""

    def unary(method: _Method) -> grpc.RpcMethodHandler[Any, Any]:
        async def serve(request: bytes, context: Context) -> bytes | None:
            return await calls.run(context, method(handler, request, context))

        return grpc.unary_unary_rpc_method_handler(serve)

    async def stream(_: object, context: Context) -> None:
        await calls.run(context, _stream(handler, context))

    yield grpc.method_handlers_generic_handler(
        EXECUTION_SERVICE, {"ExecutePipeline": unary(_execute), "GetVersion": unary(_version)}
    )
    yield grpc.method_handlers_generic_handler(
        STREAMING_SERVICE, {"StreamPipeline": grpc.stream_stream_rpc_method_handler(stream)}
    )


async def _execute(handler: PipelineHandler, payload: bytes, context: Context) -> bytes:
    call = server_call("execute", context)
    try:
        request = execution_pb2.ExecuteRequest.FromString(payload)
    except DecodeError as error:
        raise Refusal(StatusCode.INTERNAL, "the request is not an ExecuteRequest") from error
    if not request.HasField("manifest"):
        raise Refusal(StatusCode.INVALID_ARGUMENT, "the request has no manifest")
    try:
        manifest, inputs = read_pipeline(request.manifest, request.data_inputs)
    except (DataValidationError, ManifestInvalid) as error:
        return reply_bytes(ApplicationError(ErrorType.VALIDATION, error.message))
    return reply_bytes(await handler.execute(call, manifest, inputs))


async def _version(handler: PipelineHandler, payload: bytes, context: Context) -> bytes:
    call = server_call("version", context)
    try:
        execution_pb2.VersionRequest.FromString(payload)
    except DecodeError as error:
        raise Refusal(StatusCode.INTERNAL, "the request is not a VersionRequest") from error
    return version_bytes(await handler.version(call))


async def _stream(handler: PipelineHandler, context: Context) -> None:
    call = server_call("stream", context)
    async with GrpcServerSession(context) as session:
        if await session.open():
            await handler.stream(call, session)
