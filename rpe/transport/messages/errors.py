"""From the error of a pipeline, which comes back as an answer, to the error of rpe that it means."""

from __future__ import annotations

from rpe.errors import AuthenticationFailed, InvalidRequest, RemoteExecutionFailed, RpeError, redact
from rpe.wire.generated.remotemedia.v1 import common_pb2

__all__ = ["application_error"]

_KNOWN_TYPES = frozenset(common_pb2.ErrorType.values())


def application_error(answer: common_pb2.ErrorResponse, endpoint: str) -> RpeError:
    """Turn an error that came back as an answer into the error it means."""
    name = (
        common_pb2.ErrorType.Name(answer.error_type) if answer.error_type in _KNOWN_TYPES else "UNSPECIFIED"
    )
    error_type = name.removeprefix("ERROR_TYPE_").lower()
    message = redact(answer.message or "the server gave no message")
    node = answer.failing_node_id or None
    if error_type in ("validation", "type_validation"):
        return InvalidRequest(f"the server refused the request: {message}", endpoint=endpoint, node=node)
    if error_type == "authentication":
        return AuthenticationFailed(
            f"the server refused our credentials: {message}", endpoint=endpoint, node=node
        )
    refused = error_type in ("resource_limit", "version_mismatch")
    return RemoteExecutionFailed(
        f"{error_type}: {message}",
        endpoint=endpoint,
        node=node,
        error_type=error_type,
        retryable=False if error_type == "resource_limit" else None,
        maybe_executed=False if refused else None,
    )
