"""The standard health service, `grpc.health.v1`, answered by the handler behind the server."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import grpc
from grpc_health.v1 import health_pb2

from rpe.transport.grpc.running import Context, RunningCalls, server_call
from rpe.transport.serving import PipelineHandler, Refusal, StatusCode

__all__ = ["HEALTH_SERVICE", "health_handler"]

HEALTH_SERVICE = "grpc.health.v1.Health"

_Response = health_pb2.HealthCheckResponse


def health_handler(
    handler: PipelineHandler, calls: RunningCalls, services: Collection[str]
) -> grpc.GenericRpcHandler:
    """Return the health service for `services`, and for the server as a whole (the empty name)."""
    known = {"", HEALTH_SERVICE, *services}

    async def check(request: health_pb2.HealthCheckRequest, context: Context) -> bytes:
        if request.service not in known:
            raise Refusal(StatusCode.NOT_FOUND, f"there is no service {request.service!r}")
        return _message(await handler.health(server_call("health", context), None))

    async def watch(request: health_pb2.HealthCheckRequest, context: Context) -> None:
        if request.service not in known:
            # As the protocol has it: the service may yet come, so the watch goes on.
            await context.write(_Response(status=_Response.SERVICE_UNKNOWN).SerializeToString())
            await asyncio.get_running_loop().create_future()
        call = server_call("health", context)
        last: bool | None = None
        while True:
            last = await handler.health(call, last)
            await context.write(_message(last))

    async def serve_check(request: health_pb2.HealthCheckRequest, context: Context) -> bytes | None:
        return await calls.run(context, check(request, context))

    async def serve_watch(request: health_pb2.HealthCheckRequest, context: Context) -> None:
        await calls.run(context, watch(request, context))

    read = health_pb2.HealthCheckRequest.FromString
    return grpc.method_handlers_generic_handler(
        HEALTH_SERVICE,
        {
            "Check": grpc.unary_unary_rpc_method_handler(serve_check, request_deserializer=read),
            "Watch": grpc.unary_stream_rpc_method_handler(serve_watch, request_deserializer=read),
        },
    )


def _message(serving: bool) -> bytes:
    status = _Response.SERVING if serving else _Response.NOT_SERVING
    return bytes(_Response(status=status).SerializeToString())
