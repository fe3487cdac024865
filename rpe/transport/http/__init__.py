"""HTTP: JSON requests, and sessions by posts and server-sent events, on aiohttp."""

from __future__ import annotations

from rpe.transport.http.plugin import plugin

__all__ = ["plugin"]
