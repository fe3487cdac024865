"""From a handler's answers to the bytes of their messages, broken where the handler asks for it."""

from __future__ import annotations

from collections.abc import Mapping

from rpe.data import RuntimeData
from rpe.transport.messages.damage import damaged
from rpe.transport.serving import ApplicationError, Damage, ErrorType
from rpe.wire.generated.remotemedia.v1 import common_pb2, execution_pb2, streaming_pb2
from rpe.wire.protobuf import encode

__all__ = ["error_message", "result_bytes", "with_outputs"]

_ERROR_TYPES = {kind: common_pb2.ErrorType.Value(f"ERROR_TYPE_{kind.name}") for kind in ErrorType}


def result_bytes(
    sequence: int, outputs: Mapping[str, RuntimeData], processing_ms: float, items: int, damage: Damage | None
) -> bytes:
    """Return the StreamResponse of one result of a session; `items` is how many there were, this included."""
    response = streaming_pb2.StreamResponse()
    result = response.result
    result.sequence = sequence
    result.processing_time_ms = processing_ms
    result.total_items_processed = items
    return with_outputs(response, result, outputs, damage)


def error_message(error: ApplicationError) -> common_pb2.ErrorResponse:
    """Return the message of an error of the pipeline."""
    return common_pb2.ErrorResponse(
        error_type=_ERROR_TYPES[error.error_type],
        message=error.message,
        failing_node_id=error.node_id,
        context=error.context,
    )


def with_outputs(
    response: execution_pb2.ExecuteResponse | streaming_pb2.StreamResponse,
    result: execution_pb2.ExecutionResult | streaming_pb2.ChunkResult,
    outputs: Mapping[str, RuntimeData],
    damage: Damage | None,
) -> bytes:
    """Return the bytes of a response whose result is given these outputs."""
    for name, data in outputs.items():
        result.data_outputs[name].CopyFrom(encode(data))
    return response.SerializeToString() if damage is None else damaged(response, damage)
