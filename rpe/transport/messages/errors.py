"""From the error of a pipeline, which comes back as an answer, to the error of rpe that it means."""

from __future__ import annotations

from rpe.errors import RpeError
from rpe.transport.failures import pipeline_error
from rpe.wire.generated.remotemedia.v1 import common_pb2

__all__ = ["application_error"]

_KNOWN_TYPES = frozenset(common_pb2.ErrorType.values())


def application_error(answer: common_pb2.ErrorResponse, endpoint: str) -> RpeError:
    """Turn an error that came back as an answer into the error it means."""
    name = (
        common_pb2.ErrorType.Name(answer.error_type) if answer.error_type in _KNOWN_TYPES else "UNSPECIFIED"
    )
    error_type = name.removeprefix("ERROR_TYPE_").lower()
    return pipeline_error(
        error_type,
        answer.message,
        node=answer.failing_node_id or None,
        endpoint=endpoint,
        context=answer.context,
    )
