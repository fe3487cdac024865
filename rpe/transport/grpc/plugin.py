"""The gRPC transport as a plugin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from rpe.errors import ConfigurationError
from rpe.transport.grpc.settings import GrpcSettings
from rpe.transport.ports import PipelineClient, PipelineServer
from rpe.transport.serving import PipelineHandler, ServerSettings

__all__ = ["GrpcTransport", "plugin"]


class GrpcTransport:
    """Fills `rpe.transport.ports.TransportPlugin`. gRPC itself is imported at first use."""

    name = "grpc"
    datagrams = False

    def create_client(self, endpoint: str, config: Mapping[str, Any]) -> PipelineClient:
        """Make a client of `host:port`; it connects at its first call."""
        from rpe.transport.grpc.client import GrpcPipelineClient

        return GrpcPipelineClient(endpoint, GrpcSettings.from_config(config))

    def create_server(self, handler: PipelineHandler, config: Mapping[str, Any]) -> PipelineServer:
        """Make a server; it binds when it is started."""
        from rpe.transport.grpc.server import GrpcPipelineServer

        known = {item.name for item in fields(ServerSettings)}
        if unknown := sorted(set(config) - known):
            raise ConfigurationError(
                f"a server has no setting {', '.join(unknown)}", hint=f"it has: {', '.join(sorted(known))}"
            )
        return GrpcPipelineServer(handler, ServerSettings(**config))

    def validate_config(self, config: Mapping[str, Any]) -> None:
        """Check a client's settings without making one."""
        GrpcSettings.from_config(config)


plugin = GrpcTransport()
