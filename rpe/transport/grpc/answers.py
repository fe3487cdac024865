"""From a handler's answers to the bytes of their messages, broken where the handler asks for it."""

from __future__ import annotations

from collections.abc import Mapping

from rpe.data import RuntimeData
from rpe.transport.grpc.damage import damaged
from rpe.transport.serving import (
    ApplicationError,
    Damage,
    ErrorType,
    RawAnswer,
    Reply,
    VersionAnswer,
)
from rpe.wire.generated.remotemedia.v1 import common_pb2, execution_pb2, streaming_pb2
from rpe.wire.protobuf import encode

__all__ = ["error_message", "reply_bytes", "result_bytes", "version_bytes"]

_ERROR_TYPES = {kind: common_pb2.ErrorType.Value(f"ERROR_TYPE_{kind.name}") for kind in ErrorType}


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
    return _with_outputs(response, result, reply.outputs, reply.damage)


def result_bytes(
    sequence: int, outputs: Mapping[str, RuntimeData], processing_ms: float, items: int, damage: Damage | None
) -> bytes:
    """Return the StreamResponse of one result of a session; `items` is how many there were, this included."""
    response = streaming_pb2.StreamResponse()
    result = response.result
    result.sequence = sequence
    result.processing_time_ms = processing_ms
    result.total_items_processed = items
    return _with_outputs(response, result, outputs, damage)


def error_message(error: ApplicationError) -> common_pb2.ErrorResponse:
    """Return the message of an error of the pipeline."""
    return common_pb2.ErrorResponse(
        error_type=_ERROR_TYPES[error.error_type], message=error.message, failing_node_id=error.node_id
    )


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


def _with_outputs(
    response: execution_pb2.ExecuteResponse | streaming_pb2.StreamResponse,
    result: execution_pb2.ExecutionResult | streaming_pb2.ChunkResult,
    outputs: Mapping[str, RuntimeData],
    damage: Damage | None,
) -> bytes:
    for name, data in outputs.items():
        result.data_outputs[name].CopyFrom(encode(data))
    return response.SerializeToString() if damage is None else damaged(response, damage)
