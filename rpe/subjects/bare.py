"""The subject `bare`: a plain grpc.aio stub to the first endpoint, as a first attempt at a client looks."""

from __future__ import annotations

import grpc

from rpe.chaos.subject import SubjectContext
from rpe.subjects.stubs import StubSubject, check_transport

__all__ = ["create"]


async def create(context: SubjectContext) -> StubSubject:
    """Make the subject. Other endpoints, and all that the scenario asks beside the deadline, go unused."""
    check_transport(context, "bare")
    endpoint = next(iter(context.endpoints.values()))
    # A channel of its own connections: gRPC would share those of equal channels in one process.
    channel = grpc.aio.insecure_channel(endpoint, options=[("grpc.use_local_subchannel_pool", 1)])
    return StubSubject(channel, context.manifest, context.request.token)
