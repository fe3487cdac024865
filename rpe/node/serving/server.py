"""A pipeline server in this process, on one wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.node.registry import NodeRegistry
from rpe.node.remote.options import RemoteOptions
from rpe.node.serving.admission import ServiceLimits, TokenRule
from rpe.node.serving.service import STRANGERS, PipelineService
from rpe.transport.registry import get_transport

__all__ = ["ServedPipelines", "serve_pipelines"]


@dataclass(frozen=True, slots=True)
class ServedPipelines:
    """A server that runs: where, on which wire, and the service behind it."""

    endpoint: str
    transport: str
    service: PipelineService


@asynccontextmanager
async def serve_pipelines(
    transport: str = "grpc",
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    registry: NodeRegistry | None = None,
    token: TokenRule = None,
    limits: ServiceLimits | None = None,
    remote: RemoteOptions = STRANGERS,
    certificate_chain: bytes | None = None,
    private_key: bytes | None = None,
    client_root_certificates: bytes | None = None,
    settings: Mapping[str, Any] | None = None,
    grace_s: float = 0.0,
    clock: Clock = SYSTEM_CLOCK,
) -> AsyncIterator[ServedPipelines]:
    """Serve the node types of a registry while inside.

        async with serve_pipelines("http", token="s3cret") as server:
            async with connect(server.endpoint, transport="http", token="s3cret") as client: ...

    Arguments:
        transport: the name of a registered transport.
        host, port: where to listen; port 0 takes any free one.
        registry, token, limits, remote, clock: as for `PipelineService`.
        certificate_chain, private_key: PEM, for TLS; with client_root_certificates, mutual TLS.
        settings: further settings of the transport's server.
        grace_s: how long calls that run may go on when it is left, in seconds; then they are cancelled.

    Raises ConfigurationError where the address cannot be bound or a setting is wrong. Nothing of
    it is left afterwards.
    """
    service = PipelineService(registry, token=token, limits=limits, remote=remote, clock=clock)
    config: dict[str, Any] = {
        "host": host,
        "port": port,
        "certificate_chain": certificate_chain,
        "private_key": private_key,
        "client_root_certificates": client_root_certificates,
        **(settings or {}),
    }
    server = get_transport(transport).create_server(service, config)
    try:
        await server.start()
        try:
            yield ServedPipelines(server.endpoint, transport, service)
        finally:
            service.drain()
            await server.stop(grace_s)
    finally:
        await service.close()
