"""What a pipeline's own failure means to its caller, whatever wire it came by."""

from __future__ import annotations

from rpe.errors import AuthenticationFailed, InvalidRequest, RemoteExecutionFailed, RpeError, redact

__all__ = ["pipeline_error"]

_VALIDATION = frozenset({"validation", "type_validation"})
_NEVER_BEGUN = frozenset({"resource_limit", "version_mismatch"})


def pipeline_error(error_type: str, message: str, *, node: str | None, endpoint: str) -> RpeError:
    """Turn an error that a server gave as its answer into the error it means.

    Arguments:
        error_type: the server's word for it, such as one of `rpe.transport.serving.ErrorType`.
        message: the server's own text; credentials are taken out of it.
        node: the id of the node that failed, where it was named.
        endpoint: where it came from.
    """
    message = redact(message or "the server gave no message")
    if error_type in _VALIDATION:
        return InvalidRequest(f"the server refused the request: {message}", endpoint=endpoint, node=node)
    if error_type == "authentication":
        return AuthenticationFailed(
            f"the server refused our credentials: {message}", endpoint=endpoint, node=node
        )
    return RemoteExecutionFailed(
        f"{error_type}: {message}",
        endpoint=endpoint,
        node=node,
        error_type=error_type,
        retryable=False if error_type == "resource_limit" else None,
        maybe_executed=False if error_type in _NEVER_BEGUN else None,
    )
