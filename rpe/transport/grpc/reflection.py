"""Server reflection, so that tools such as grpcurl know the services with no contract files at hand."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer

from rpe.wire.generated import POOL

__all__ = ["REFLECTION_SERVICES", "reflection_handlers"]

REFLECTION_SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
"""The two versions differ in nothing but their names, and tools ask for the first one first."""


class _BothPools:
    """Our contracts live in a pool of their own, those of gRPC's services in the default one."""

    def __init__(self) -> None:
        self._pools = (POOL, descriptor_pool.Default())

    def __getattr__(self, name: str) -> Any:
        def find(*args: Any) -> Any:
            first, second = (getattr(pool, name) for pool in self._pools)
            try:
                return first(*args)
            except KeyError:
                return second(*args)

        return find


def reflection_handlers(services: Collection[str]) -> Iterable[grpc.GenericRpcHandler]:
    """Return the reflection service, in both its versions, for the named services."""
    servicer = ReflectionServicer([*services, *REFLECTION_SERVICES], _BothPools())
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for service in REFLECTION_SERVICES:
        yield grpc.method_handlers_generic_handler(service, {"ServerReflectionInfo": method})
