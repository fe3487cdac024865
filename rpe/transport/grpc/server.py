"""The gRPC server: both pipeline services, health and reflection, on one grpc.aio server."""

from __future__ import annotations

import asyncio
import socket
from importlib.util import find_spec
from types import TracebackType
from typing import Self

import grpc

from rpe.errors import ConfigurationError
from rpe.transport.grpc.running import RunningCalls
from rpe.transport.grpc.serving_calls import SERVICES, pipeline_handlers
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
        credentials = _credentials(settings)
        server = grpc.aio.server(
            options=[
                # Linux would let two servers share a port, and callers reach the wrong one.
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", settings.max_message_bytes),
                ("grpc.max_send_message_length", settings.max_message_bytes),
            ]
        )
        handlers = _handlers(self._handler, self._calls, settings)
        server.add_generic_rpc_handlers(handlers)
        port = _bind(server, settings.host, settings.port, credentials)
        await server.start()
        self._server = server
        self.endpoint = f"{_bracketed(settings.host)}:{port}"

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


def _credentials(settings: ServerSettings) -> grpc.ServerCredentials | None:
    chain, key, roots = settings.certificate_chain, settings.private_key, settings.client_root_certificates
    if chain is None and key is None and roots is None:
        return None
    if chain is None or key is None:
        raise ConfigurationError(
            "TLS needs both certificate_chain and private_key",
            hint="give both as PEM, or neither for clear text",
        )
    return grpc.ssl_server_credentials(
        [(key, chain)], root_certificates=roots, require_client_auth=roots is not None
    )


def _bind(server: grpc.aio.Server, host: str, port: int, credentials: grpc.ServerCredentials | None) -> int:
    address = f"{_bracketed(host)}:{port}"
    if port:
        _check_free(host, port)
    try:
        if credentials is None:
            bound = server.add_insecure_port(address)
        else:
            bound = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        cause = (
            "the address cannot be bound" if credentials is None else "no address, or unusable certificates"
        )
        raise ConfigurationError(f"a gRPC server cannot be started: {cause}", endpoint=address) from error
    return bound


def _check_free(host: str, port: int) -> None:
    """Try the address with a socket of our own: gRPC tells why it failed only on stderr."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        raise ConfigurationError(
            f"a gRPC server cannot be started: {error.strerror or error}",
            endpoint=f"{_bracketed(host)}:{port}",
            hint="choose another port, or 0 for any free one",
        ) from error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
