"""The checks of gRPC, made on frames of HTTP/2."""

from __future__ import annotations

__all__: list[str] = []
