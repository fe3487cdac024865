"""WebRTC: pipelines over data channels, on aiortc."""

from __future__ import annotations

from rpe.transport.webrtc.plugin import plugin

__all__ = ["plugin"]
