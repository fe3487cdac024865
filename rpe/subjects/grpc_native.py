"""The subject `grpc-native`: what gRPC itself offers for reliability, by a service config.

Round robin over all endpoints, retries of UNAVAILABLE with a token bucket (gRFC A6) and
health checks (gRFC A17). gRPC has no deadline per attempt, no breaker, and no notion of
an operation that must not be repeated.
"""

from __future__ import annotations

import json
from typing import Any

import grpc

from rpe.chaos.subject import ClientRequest, SubjectContext
from rpe.errors import ConfigurationError
from rpe.subjects.stubs import StubSubject

__all__ = ["create", "service_config"]

MAX_ATTEMPTS = 5
"""gRPC makes no more attempts than this, whatever it is told (gRFC A6)."""


async def create(context: SubjectContext) -> StubSubject:
    """Make the subject: one channel over the whole pool."""
    if context.pipeline:
        raise ConfigurationError(
            "the client 'grpc-native' runs no pipelines of its own",
            hint="leave out the scenarios that have pools",
        )
    if context.transport != "grpc":
        raise ConfigurationError(
            f"the client 'grpc-native' speaks gRPC only, not {context.transport!r}",
            hint="leave out the cells of other transports: --filter transport=grpc",
        )
    target = "ipv4:" + ",".join(context.endpoints.values())
    channel = grpc.aio.insecure_channel(
        target,
        options=[
            ("grpc.service_config", json.dumps(service_config(context.request))),
            ("grpc.use_local_subchannel_pool", 1),
        ],
    )
    return StubSubject(channel, context.manifest, context.request.token)


def service_config(request: ClientRequest) -> dict[str, Any]:
    """Return the service config that comes nearest to what a scenario asks for."""
    config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
    retry = request.retry
    if retry is not None and retry.max_retries > 0:
        policy = {
            "maxAttempts": min(MAX_ATTEMPTS, retry.max_retries + 1),
            "initialBackoff": f"{max(0.001, retry.initial_backoff_s):.3f}s",
            "maxBackoff": f"{max(0.001, retry.max_backoff_s):.3f}s",
            "backoffMultiplier": retry.multiplier,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        config["methodConfig"] = [{"name": [{}], "retryPolicy": policy}]
    if request.budget is not None:
        # gRFC A6: each failure takes one token, each success gives `tokenRatio`; below half, no retries.
        config["retryThrottling"] = {
            "maxTokens": 10,
            "tokenRatio": max(0.001, round(request.budget.ratio, 3)),
        }
    if request.health is not None and request.health.enabled:
        config["healthCheckConfig"] = {"serviceName": ""}
    return config
