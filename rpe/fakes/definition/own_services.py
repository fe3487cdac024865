"""gRPC's own services on the server of a fake: health by a board, and channelz."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.descriptor_pool import DescriptorPool

from rpe.errors import ConfigurationError
from rpe.fakes.health import SERVING_STATUSES, HealthBoard
from rpe.transport.reflecting import pool_of

__all__ = ["CHANNELZ_SERVICE", "HEALTH_SERVICE", "channelz_methods", "channelz_pool", "health_methods"]

HEALTH_SERVICE = "grpc.health.v1.Health"
CHANNELZ_SERVICE = "grpc.channelz.v1.Channelz"

Methods = dict[str, "grpc.RpcMethodHandler[Any, Any]"]
Context = grpc.aio.ServicerContext[Any, Any]


def health_methods(board: HealthBoard) -> Methods:
    """Return the methods of the health service by their paths; they tell what the board says."""
    from grpc_health.v1 import health_pb2

    def answer(status: str) -> Any:
        return health_pb2.HealthCheckResponse(status=SERVING_STATUSES[status])

    async def check(request: Any, context: Context) -> Any:
        status = board.status(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service {request.service!r}")
        return answer(str(status))

    async def list_all(request: Any, context: Context) -> Any:
        statuses = {name: answer(status) for name, status in board.statuses.items()}
        return health_pb2.HealthListResponse(statuses=statuses)

    async def watch(request: Any, context: Context) -> None:
        async for status in board.watch(request.service):
            await context.write(answer(status))

    def method(make: Any, behaviour: Any, request: Any) -> grpc.RpcMethodHandler[Any, Any]:
        made: grpc.RpcMethodHandler[Any, Any] = make(
            behaviour, request_deserializer=request.FromString, response_serializer=_bytes
        )
        return made

    one, many = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
    return {
        f"/{HEALTH_SERVICE}/Check": method(one, check, health_pb2.HealthCheckRequest),
        f"/{HEALTH_SERVICE}/List": method(one, list_all, health_pb2.HealthListRequest),
        f"/{HEALTH_SERVICE}/Watch": method(many, watch, health_pb2.HealthCheckRequest),
    }


def channelz_methods() -> Methods:
    """Return the methods of channelz by their paths: what gRPC's core counts in this process.

    Raises ConfigurationError where the package grpcio-channelz is missing.
    """
    pb2, servicer = _channelz()
    return {
        f"/{CHANNELZ_SERVICE}/{name}": grpc.unary_unary_rpc_method_handler(
            getattr(servicer, name),
            request_deserializer=getattr(pb2, f"{name}Request").FromString,
            response_serializer=_bytes,
        )
        for name in pb2.DESCRIPTOR.services_by_name["Channelz"].methods_by_name
    }


def channelz_pool() -> DescriptorPool:
    """Return a pool of the contract of channelz, for reflection."""
    return pool_of(_channelz()[0])


def _channelz() -> tuple[Any, Any]:
    try:
        from grpc_channelz.v1 import channelz_pb2
        from grpc_channelz.v1._async import ChannelzServicer
    except ImportError as error:
        raise ConfigurationError(
            f"channelz cannot be loaded: {error}", hint="pip install grpcio-channelz, or do without it"
        ) from error
    return channelz_pb2, ChannelzServicer


def _bytes(message: Any) -> bytes:
    return bytes(message.SerializeToString())
