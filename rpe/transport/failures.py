"""What ends a call, whatever wire it came by: the errors that statuses and failed pipelines mean."""

from __future__ import annotations

from collections.abc import Callable

from rpe.errors import (
    AuthenticationFailed,
    ConnectionLost,
    DataValidationError,
    Downstream,
    HopLimitExceeded,
    InvalidRequest,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteOverloaded,
    RemoteTimeout,
    RemoteUnavailable,
    RpeError,
    redact,
)
from rpe.transport.downstream import read_context
from rpe.transport.serving import StatusCode

__all__ = [
    "broken_off",
    "check_rising",
    "failed",
    "forbidden",
    "invalid",
    "not_offered",
    "pipeline_error",
    "refused_credentials",
    "status_error",
    "timed_out",
    "unavailable",
]

_VALIDATION = frozenset({"validation", "type_validation"})
_NEVER_BEGUN = frozenset({"resource_limit", "version_mismatch"})


def check_rising(sequence: int, last: int, endpoint: str) -> None:
    """Raise DataValidationError unless a chunk's number is above that of the one sent before it."""
    if sequence <= last:
        raise DataValidationError(
            f"is {sequence}, after {last}",
            field="sequence",
            endpoint=endpoint,
            hint="number chunks strictly upwards",
        )


def pipeline_error(
    error_type: str, message: str, *, node: str | None, endpoint: str, context: str = ""
) -> RpeError:
    """Turn an error that a server gave as its answer into the error it means.

    Arguments:
        error_type: the server's word for it, such as one of `rpe.transport.serving.ErrorType`.
        message: the server's own text; credentials are taken out of it.
        node: the id of the node that failed, where it was named.
        endpoint: where it came from.
        context: what the server says of it to programs, whatever that is.
    """
    message = redact(message or "the server gave no message")
    downstream = read_context(context) if context else None
    if downstream is not None and downstream.code == HopLimitExceeded.code:
        return HopLimitExceeded(
            message,
            endpoint=endpoint,
            node=node,
            hops=downstream.hop,
            maybe_executed=downstream.maybe_executed,
        )
    if error_type in _VALIDATION:
        return InvalidRequest(f"the server refused the request: {message}", endpoint=endpoint, node=node)
    if error_type == "authentication":
        return AuthenticationFailed(
            f"the server refused our credentials: {message}",
            endpoint=endpoint,
            node=node,
            # What a node or a server behind this one was refused is not the token that we sent.
            token_refused=node is None and downstream is None,
        )
    if downstream is not None:
        return RemoteExecutionFailed(
            message,
            endpoint=endpoint,
            node=node,
            hint=f"this server answered; what failed lies behind it: look at {_place(downstream)}",
            error_type=error_type,
            downstream=downstream,
            retryable=downstream.retryable,
            maybe_executed=downstream.maybe_executed,
        )
    return RemoteExecutionFailed(
        f"{error_type}: {message}",
        endpoint=endpoint,
        node=node,
        error_type=error_type,
        retryable=False if error_type == "resource_limit" else None,
        maybe_executed=False if error_type in _NEVER_BEGUN else None,
    )


def _place(downstream: Downstream) -> str:
    if downstream.endpoint is not None:
        return downstream.endpoint
    return "what its node calls" if downstream.node is None else f"what node {downstream.node} calls"


def status_error(
    status: StatusCode, details: str, endpoint: str, *, retry_after_s: float | None = None
) -> RpeError:
    """Turn the status that a server ended a call with into the error it means.

    `details` are the server's own text, already without credentials; `retry_after_s` is its
    retry hint. Whether the request was executed is judged strictly.
    """
    text = f"{status.name}: {details}"
    if status is StatusCode.RESOURCE_EXHAUSTED or (
        # Only a server that turned the request away before touching it can say when to come again.
        status is StatusCode.UNAVAILABLE and retry_after_s is not None
    ):
        return RemoteOverloaded(
            f"the server is overloaded: {text}", endpoint=endpoint, retry_after_s=retry_after_s
        )
    return _BY_STATUS[status](text, endpoint)


# --- one kind of end each, from what is known of it ------------------------------------------------------


def timed_out(text: str, endpoint: str) -> RpeError:
    """The deadline passed, here or there."""
    return RemoteTimeout("no answer within the deadline", endpoint=endpoint)


def forbidden(text: str, endpoint: str) -> RpeError:
    """The server, or a gateway before it, knows who asks, and does not allow it."""
    return AuthenticationFailed(
        f"the server refused our credentials: {text}", endpoint=endpoint, token_refused=False
    )


def refused_credentials(text: str, endpoint: str) -> RpeError:
    """The token is missing or wrong."""
    return AuthenticationFailed(f"the server refused our credentials: {text}", endpoint=endpoint)


def invalid(text: str, endpoint: str) -> RpeError:
    """The request is wrong in itself."""
    return InvalidRequest(f"the server refused the request: {text}", endpoint=endpoint)


def not_offered(text: str, endpoint: str) -> RpeError:
    """The server does not know this call at all."""
    return ProtocolViolation(
        f"the server does not offer this call: {text}",
        endpoint=endpoint,
        maybe_executed=False,
        hint="check that a pipeline server of a fitting version listens at this address",
    )


def failed(text: str, endpoint: str) -> RpeError:
    """The server failed, while it may have been at work."""
    return RemoteExecutionFailed(f"the server failed: {text}", endpoint=endpoint, error_type="internal")


def broken_off(text: str, endpoint: str) -> RpeError:
    """The other side gave the call up."""
    return ConnectionLost(f"the call was broken off by the other side: {text}", endpoint=endpoint)


def unavailable(text: str, endpoint: str) -> RpeError:
    """The server, or a gateway before it, cannot serve now."""
    return RemoteUnavailable(f"the server is unavailable: {text}", endpoint=endpoint)


_BY_STATUS: dict[StatusCode, Callable[[str, str], RpeError]] = {
    StatusCode.DEADLINE_EXCEEDED: timed_out,
    StatusCode.UNAUTHENTICATED: refused_credentials,
    StatusCode.PERMISSION_DENIED: forbidden,
    StatusCode.INVALID_ARGUMENT: invalid,
    StatusCode.FAILED_PRECONDITION: invalid,
    StatusCode.OUT_OF_RANGE: invalid,
    StatusCode.NOT_FOUND: invalid,
    StatusCode.UNIMPLEMENTED: not_offered,
    StatusCode.UNAVAILABLE: unavailable,
    StatusCode.INTERNAL: failed,
    StatusCode.UNKNOWN: failed,
    StatusCode.ABORTED: failed,
    StatusCode.DATA_LOSS: failed,
    StatusCode.CANCELLED: broken_off,
}
