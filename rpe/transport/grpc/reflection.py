"""Server reflection, so that tools such as grpcurl know the services with no contract files at hand."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import grpc

from rpe.transport.reflecting import REFLECTION_SERVICES, reflection_methods
from rpe.wire.generated import POOL

__all__ = ["REFLECTION_SERVICES", "reflection_handlers"]


def reflection_handlers(services: Collection[str]) -> Iterable[grpc.GenericRpcHandler]:
    """Return the reflection service, in both its versions, for the named services of ours and of gRPC."""
    for path, method in reflection_methods(services, [POOL]).items():
        _, service, name = path.split("/")
        yield grpc.method_handlers_generic_handler(service, {name: method})
