"""The subject `bare`: one plain client of the first endpoint, as a first attempt at a client looks.

On gRPC it is a stub of grpc.aio; on every other wire it is the transport's own client. A pipeline
that runs in the client is run with remote nodes that try once, at their first endpoint.
"""

from __future__ import annotations

from rpe.chaos.subject import Subject, SubjectContext

__all__ = ["create"]


async def create(context: SubjectContext) -> Subject:
    """Make the subject. Other endpoints, and all that the scenario asks beside the deadline, go unused."""
    if context.pipeline:
        from rpe.subjects.pipeline import PipelineSubject, without_reliability

        return await PipelineSubject(context, without_reliability(context.manifest)).open()
    if context.transport != "grpc":
        from rpe.subjects.single import SingleSubject

        return SingleSubject(context)
    import grpc

    from rpe.subjects.stubs import StubSubject

    endpoint = next(iter(context.endpoints.values()))
    # A channel of its own connections: gRPC would share those of equal channels in one process.
    channel = grpc.aio.insecure_channel(endpoint, options=[("grpc.use_local_subchannel_pool", 1)])
    return StubSubject(channel, context.manifest, context.request.token)
