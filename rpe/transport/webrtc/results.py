"""What a caller is answered: from the bytes of a StreamResponse to results, or the error that it means."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from rpe.data import RuntimeData
from rpe.errors import DataValidationError, ProtocolViolation
from rpe.transport.messages.errors import application_error
from rpe.transport.ports import ExecutionResult
from rpe.wire.generated.remotemedia.v1 import streaming_pb2
from rpe.wire.protobuf import decode

__all__ = ["read_answer", "read_outputs", "read_response"]


def read_response(payload: bytes, endpoint: str) -> streaming_pb2.StreamResponse:
    """Read a StreamResponse. Raises ProtocolViolation where it is none."""
    try:
        return streaming_pb2.StreamResponse.FromString(payload)
    except DecodeError as error:
        raise ProtocolViolation("an answer is not a StreamResponse", endpoint=endpoint) from error


def read_outputs(result: streaming_pb2.ChunkResult, endpoint: str) -> dict[str, RuntimeData]:
    """Read the outputs of a result. Raises ProtocolViolation where one breaks its contract."""
    try:
        return {name: decode(buffer) for name, buffer in result.data_outputs.items()}
    except DataValidationError as error:
        raise ProtocolViolation(f"the answer is corrupted: {error.message}", endpoint=endpoint) from error


def read_answer(payload: bytes, endpoint: str) -> ExecutionResult:
    """Read the answer to a unary execution.

    Raises ProtocolViolation where it is none, or the error that the server answered.
    """
    response = read_response(payload, endpoint)
    kind = response.WhichOneof("response")
    if kind == "result":
        result = response.result
        return ExecutionResult(read_outputs(result, endpoint), result.processing_time_ms)
    if kind == "error":
        raise application_error(response.error, endpoint)
    raise ProtocolViolation("the answer holds neither a result nor an error", endpoint=endpoint)
