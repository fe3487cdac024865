"""The checks of HTTP and server-sent events, made on bytes."""

from __future__ import annotations

__all__: list[str] = []
