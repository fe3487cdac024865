"""The WebRTC transport as a plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rpe.transport.ports import PipelineClient, PipelineServer
from rpe.transport.serving import PipelineHandler

__all__ = ["WebrtcTransport", "plugin"]


class WebrtcTransport:
    """Fills `rpe.transport.ports.TransportPlugin`. aiortc itself is imported at first use."""

    name = "webrtc"
    datagrams = True

    def create_client(self, endpoint: str, config: Mapping[str, Any]) -> PipelineClient:
        """Make a client of the signalling server at `host:port`; it connects at its first call."""
        from rpe.transport.webrtc.settings import WebrtcSettings

        settings = WebrtcSettings.from_config(config)
        if settings.mode == "plain":
            from rpe.transport.webrtc.plain import PlainPipelineClient

            return PlainPipelineClient(endpoint, settings)
        from rpe.transport.webrtc.client import WebrtcPipelineClient

        return WebrtcPipelineClient(endpoint, settings)

    def create_server(self, handler: PipelineHandler, config: Mapping[str, Any]) -> PipelineServer:
        """Make a server; its signalling binds when it is started."""
        from rpe.transport.webrtc.server import WebrtcPipelineServer
        from rpe.transport.webrtc.settings import WebrtcServerSettings

        return WebrtcPipelineServer(handler, WebrtcServerSettings.from_config(config))

    def validate_config(self, config: Mapping[str, Any]) -> None:
        """Check a client's settings without making one."""
        from rpe.transport.webrtc.settings import WebrtcSettings

        WebrtcSettings.from_config(config)


plugin = WebrtcTransport()
