"""From what gRPC reports to the errors of rpe: the one edge where foreign errors become ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc
from grpc import StatusCode

from rpe.errors import (
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    InvalidRequest,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteOverloaded,
    RemoteTimeout,
    RemoteUnavailable,
    RpeError,
    redact,
)

__all__ = ["PUSHBACK_KEY", "being_cancelled", "pushback_s", "status_error"]

PUSHBACK_KEY = "grpc-retry-pushback-ms"
"""The trailer in which a server says when to try again (gRFC A6)."""

_NEVER_LEFT = ("failed to connect to all addresses", "errors resolving", "empty address list")
"""How gRPC's core words a call for which it never had a connection."""

_CONNECTION_WORDS = (
    "socket closed", "connection reset", "broken pipe", "stream removed", "goaway", "cancelling all calls",
    "keepalive", "ping timeout", "transport", "recvmsg", "endpoint closing", "rst_stream",
    "internal error from core",
)  # fmt: skip
"""How gRPC's core words a connection that broke under a call, beside statuses that a server sent."""


def being_cancelled() -> bool:
    """Say whether the running task is being cancelled.

    gRPC raises CancelledError also where only the call was cancelled, by another task or by
    the closing of its channel; taken for the task's own, it would vanish into whoever waits.
    """
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def pushback_s(error: grpc.aio.AioRpcError) -> float | None:
    """Return the server's own retry hint in seconds; negative for never, also where it is unreadable."""
    for key, value in error.trailing_metadata() or ():
        if key == PUSHBACK_KEY:
            try:
                return int(value) / 1000
            except (ValueError, OverflowError):
                return -1.0
    return None


def status_error(error: grpc.aio.AioRpcError, endpoint: str) -> RpeError:
    """Turn a status into the error it means. Whether the request was executed is judged strictly."""
    code = error.code()
    details = redact(error.details() or "no details")
    if code is StatusCode.UNAVAILABLE:
        return _unavailable(error, details, endpoint)
    if code is StatusCode.RESOURCE_EXHAUSTED:
        return _exhausted(error, details, endpoint)
    return _BY_CODE.get(code, _unexpected)(f"{code.name}: {details}", endpoint)


def _unavailable(error: grpc.aio.AioRpcError, details: str, endpoint: str) -> RpeError:
    lowered = details.lower()
    if any(words in lowered for words in _NEVER_LEFT):
        return ConnectFailed(f"no connection: {details}", endpoint=endpoint)
    wait_s = pushback_s(error)
    if wait_s is not None:
        # Only a server that turned the request away before touching it can say when to come again.
        return RemoteOverloaded(
            f"the server asked to wait: {details}", endpoint=endpoint, retry_after_s=wait_s
        )
    if any(words in lowered for words in _CONNECTION_WORDS):
        return ConnectionLost(f"the connection broke: {details}", endpoint=endpoint)
    return RemoteUnavailable(f"the server is unavailable: {details}", endpoint=endpoint)


def _exhausted(error: grpc.aio.AioRpcError, details: str, endpoint: str) -> RpeError:
    lowered = details.lower()
    if "received message larger than max" in lowered:
        return ProtocolViolation(
            f"the answer is too large: {details}",
            endpoint=endpoint,
            retryable=False,
            hint="raise max_message_bytes on this side",
        )
    if "sent message larger than max" in lowered or "message larger than max" in lowered:
        return InvalidRequest(
            f"the request is too large: {details}",
            endpoint=endpoint,
            hint="send less, or raise max_message_bytes",
        )
    return RemoteOverloaded(
        f"the server is overloaded: {details}", endpoint=endpoint, retry_after_s=pushback_s(error)
    )


def _timeout(text: str, endpoint: str) -> RpeError:
    return RemoteTimeout("no answer within the deadline", endpoint=endpoint)


def _authentication(text: str, endpoint: str) -> RpeError:
    return AuthenticationFailed(f"the server refused our credentials: {text}", endpoint=endpoint)


def _invalid(text: str, endpoint: str) -> RpeError:
    return InvalidRequest(f"the server refused the request: {text}", endpoint=endpoint)


def _unimplemented(text: str, endpoint: str) -> RpeError:
    return ProtocolViolation(
        f"the server does not offer this call: {text}",
        endpoint=endpoint,
        maybe_executed=False,
        hint="check that a pipeline server of a fitting version listens at this address",
    )


def _failed(text: str, endpoint: str) -> RpeError:
    return RemoteExecutionFailed(f"the server failed: {text}", endpoint=endpoint, error_type="internal")


def _lost(text: str, endpoint: str) -> RpeError:
    return ConnectionLost(f"the call was broken off by the other side: {text}", endpoint=endpoint)


def _internal(text: str, endpoint: str) -> RpeError:
    return (_lost if any(words in text.lower() for words in _CONNECTION_WORDS) else _failed)(text, endpoint)


def _unexpected(text: str, endpoint: str) -> RpeError:
    return ProtocolViolation(f"the server ended the call with {text}", endpoint=endpoint)


_BY_CODE: dict[StatusCode, Callable[[str, str], RpeError]] = {
    StatusCode.DEADLINE_EXCEEDED: _timeout,
    StatusCode.UNAUTHENTICATED: _authentication,
    StatusCode.PERMISSION_DENIED: _authentication,
    StatusCode.INVALID_ARGUMENT: _invalid,
    StatusCode.FAILED_PRECONDITION: _invalid,
    StatusCode.OUT_OF_RANGE: _invalid,
    StatusCode.NOT_FOUND: _invalid,
    StatusCode.ALREADY_EXISTS: _invalid,
    StatusCode.UNIMPLEMENTED: _unimplemented,
    StatusCode.INTERNAL: _internal,
    StatusCode.UNKNOWN: _internal,
    StatusCode.ABORTED: _failed,
    StatusCode.DATA_LOSS: _failed,
    StatusCode.CANCELLED: _lost,
}
