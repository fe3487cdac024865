"""The answers of the gRPC services that no other wire has."""

from __future__ import annotations

from rpe.transport.messages.answers import error_message, with_outputs
from rpe.transport.serving import ApplicationError, RawAnswer, Reply, VersionAnswer
from rpe.wire.generated.remotemedia.v1 import common_pb2, execution_pb2

__all__ = ["reply_bytes", "version_bytes"]


def reply_bytes(reply: Reply) -> bytes:
    """Return the ExecuteResponse of a reply."""
    if isinstance(reply, RawAnswer):
        return reply.payload
    if isinstance(reply, ApplicationError):
        return execution_pb2.ExecuteResponse(error=error_message(reply)).SerializeToString()
    response = execution_pb2.ExecuteResponse()
    result = response.result
    result.status = common_pb2.EXECUTION_STATUS_SUCCESS
    result.metrics.wall_time_ms = reply.wall_time_ms
    return with_outputs(response, result, reply.outputs, reply.damage)


def version_bytes(answer: VersionAnswer) -> bytes:
    """Return the VersionResponse of what a server says of itself."""
    return execution_pb2.VersionResponse(
        version_info=common_pb2.VersionInfo(
            protocol_version=answer.protocol_version,
            runtime_version=answer.runtime_version,
            supported_node_types=answer.node_types,
            supported_protocols=["grpc"],
        ),
        compatible=answer.compatible,
        compatibility_message=answer.message,
    ).SerializeToString()
