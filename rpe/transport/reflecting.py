"""gRPC's reflection service, in both its versions, for services of any server.

It lies outside the transports, so that a fake of other services need not import one of ours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer

__all__ = ["REFLECTION_SERVICES", "known_pool", "pool_of", "reflection_methods"]

REFLECTION_SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
"""The two versions differ in nothing but their names, and tools ask for the first one first."""


class _Pools:
    """Several pools as one; what the first knows, the others are not asked for."""

    def __init__(self, pools: Sequence[DescriptorPool]) -> None:
        self._pools = pools

    def __getattr__(self, name: str) -> Any:
        def find(*args: Any) -> Any:
            for pool in self._pools[:-1]:
                try:
                    return getattr(pool, name)(*args)
                except (KeyError, TypeError):
                    continue
            return getattr(self._pools[-1], name)(*args)

        return find


def reflection_methods(
    services: Collection[str], pools: Sequence[DescriptorPool]
) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    """Return the methods of reflection by their paths, in both its versions.

    Arguments:
        services: the full names that are told of, beside those of reflection.
        pools: what knows their contracts. gRPC's own services need not be in them.
    """
    servicer = ReflectionServicer([*services, *REFLECTION_SERVICES], _Pools([*pools, known_pool()]))
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return {f"/{service}/ServerReflectionInfo": method for service in REFLECTION_SERVICES}


@cache
def known_pool() -> DescriptorPool:
    """Return a pool of the contracts of gRPC's own services: reflection, and those that are installed."""
    pool = pool_of(reflection_pb2, *_others())
    pool.Add(_renamed(FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb)))
    return pool


def pool_of(*modules: Any) -> DescriptorPool:
    """Return a pool of the contracts of generated modules, with all that they import."""
    pool = DescriptorPool()
    added: set[str] = set()

    def add(file: Any) -> None:
        if file.name not in added:
            added.add(file.name)
            for imported in file.dependencies:
                add(imported)
            pool.Add(FileDescriptorProto.FromString(file.serialized_pb))

    for module in modules:
        add(module.DESCRIPTOR)
    return pool


def _renamed(alpha: FileDescriptorProto) -> FileDescriptorProto:
    """Make the contract of version 1 from the older one: only the package differs."""
    text = json_format.MessageToJson(alpha).replace("v1alpha", "v1")
    return json_format.Parse(text, FileDescriptorProto())


def _others() -> Iterable[Any]:
    try:
        from grpc_health.v1 import health_pb2
    except ImportError:  # nobody can serve it then
        return
    yield health_pb2
