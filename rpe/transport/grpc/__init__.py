"""gRPC: the package `remotemedia.v1` on grpc.aio."""

from __future__ import annotations

from rpe.transport.grpc.plugin import plugin

__all__ = ["plugin"]
