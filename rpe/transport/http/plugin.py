"""The HTTP transport as a plugin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from rpe.errors import ConfigurationError
from rpe.transport.http.settings import HttpSettings
from rpe.transport.ports import PipelineClient, PipelineServer
from rpe.transport.serving import PipelineHandler, ServerSettings

__all__ = ["HttpTransport", "plugin"]


class HttpTransport:
    """Fills `rpe.transport.ports.TransportPlugin`. aiohttp itself is imported at first use."""

    name = "http"
    datagrams = False

    def create_client(self, endpoint: str, config: Mapping[str, Any]) -> PipelineClient:
        """Make a client of `host:port` or of an http(s) URL; it connects at its first call."""
        from rpe.transport.http.client import HttpPipelineClient

        return HttpPipelineClient(endpoint, HttpSettings.from_config(config))

    def create_server(self, handler: PipelineHandler, config: Mapping[str, Any]) -> PipelineServer:
        """Make a server; it binds when it is started."""
        from rpe.transport.http.server import HttpPipelineServer

        known = {item.name for item in fields(ServerSettings)}
        if unknown := sorted(set(config) - known):
            raise ConfigurationError(
                f"a server has no setting {', '.join(unknown)}", hint=f"it has: {', '.join(sorted(known))}"
            )
        return HttpPipelineServer(handler, ServerSettings(**config))

    def validate_config(self, config: Mapping[str, Any]) -> None:
        """Check a client's settings without making one."""
        HttpSettings.from_config(config)


plugin = HttpTransport()
