"""The gRPC server: both pipeline services, health and reflection, on one grpc.aio server."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from types import TracebackType
from typing import Self

import grpc

from rpe.errors import ConfigurationError
from rpe.transport.grpc.running import RunningCalls
from rpe.transport.grpc.serving_calls import SERVICES, pipeline_handlers
from rpe.transport.grpc_binding import bind, new_server, tls_of
from rpe.transport.serving import PipelineHandler, ServerSettings

__all__ = ["GrpcPipelineServer"]


class GrpcPipelineServer:
    """Fills `rpe.transport.ports.PipelineServer`.

    Answers leave as bytes, so that a handler can put anything on the wire. `endpoint` is
    empty before the first `start`. A stopped server can be started again; with port 0 it
    is then bound to another port.
    """

    def __init__(self, handler: PipelineHandler, settings: ServerSettings) -> None:
        self.endpoint = ""
        self._handler = handler
        self._settings = settings
        self._server: grpc.aio.Server | None = None
        self._calls = RunningCalls()

    async def start(self) -> None:
        """Bind and serve. Harmless where it runs already.

        Raises ConfigurationError where the address cannot be bound, the certificates are
        unusable, or a package that a setting asks for is missing; nothing runs then.
        """
        if self._server is not None:
            return
        settings = self._settings
        tls = tls_of(settings.certificate_chain, settings.private_key, settings.client_root_certificates)
        server = new_server(settings.max_message_bytes)
        handlers = _handlers(self._handler, self._calls, settings)
        server.add_generic_rpc_handlers(handlers)
        endpoint = bind(server, settings.host, settings.port, tls)
        await server.start()
        self._server = server
        self.endpoint = endpoint

    async def stop(self, grace_s: float = 0.0) -> None:
        """Take no more calls, give running ones `grace_s` seconds, then cancel them and wait for their end.

        No task of the server is left afterwards; cancelling this ends the grace. Harmless
        where the server does not run.
        """
        server, self._server = self._server, None
        if server is None:
            return
        try:
            await server.stop(grace_s if grace_s > 0 else None)
        except asyncio.CancelledError:
            await server.stop(None)
            raise
        finally:
            await self._calls.cancel_all()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _handlers(
    handler: PipelineHandler, calls: RunningCalls, settings: ServerSettings
) -> tuple[grpc.GenericRpcHandler, ...]:
    handlers = list(pipeline_handlers(handler, calls))
    services = list(SERVICES)
    if settings.health:
        try:
            from rpe.transport.grpc.health import HEALTH_SERVICE, health_handler
        except ImportError as error:
            raise ConfigurationError(
                f"the health service cannot be loaded: {error}",
                hint="pip install grpcio-health-checking, or set health to false",
            ) from error
        handlers.append(health_handler(handler, calls, SERVICES))
        services.append(HEALTH_SERVICE)
    if settings.reflection and find_spec("grpc_reflection") is not None:
        from rpe.transport.grpc.reflection import reflection_handlers

        handlers.extend(reflection_handlers(services))
    return tuple(handlers)
