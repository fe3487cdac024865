"""From what gRPC reports to the errors of rpe: the one edge where foreign errors become ours."""

from __future__ import annotations

import asyncio

import grpc
from grpc import StatusCode

from rpe.errors import (
    ConnectFailed,
    ConnectionLost,
    InvalidRequest,
    ProtocolViolation,
    RemoteOverloaded,
    RpeError,
    redact,
)
from rpe.transport import failures, serving

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

_RESET_WORDS = "received rst_stream"
"""How gRPC's core words a call that was reset, whose status it made from the code of the reset."""

_UNREADABLE_WORDS = ("compression bit set", "decompression failed", "grpc-encoding")
"""How gRPC's core words an answer that it could not take apart, beside statuses that a server sent."""


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
    text = f"{code.name}: {details}"
    if code is StatusCode.INTERNAL and any(words in details.lower() for words in _UNREADABLE_WORDS):
        return ProtocolViolation(f"the answer cannot be read: {text}", endpoint=endpoint)
    if code in (StatusCode.INTERNAL, StatusCode.UNKNOWN) and _is_of_connection(details):
        return failures.broken_off(text, endpoint)
    if code is StatusCode.PERMISSION_DENIED and _RESET_WORDS in details.lower():
        # INADEQUATE_SECURITY: a verdict on the connection, and not on our credentials.
        return failures.broken_off(text, endpoint)
    if code is StatusCode.ALREADY_EXISTS:
        return failures.invalid(text, endpoint)
    if code.name in serving.StatusCode.__members__:
        return failures.status_error(serving.StatusCode[code.name], details, endpoint)
    return ProtocolViolation(f"the server ended the call with {text}", endpoint=endpoint)


def _unavailable(error: grpc.aio.AioRpcError, details: str, endpoint: str) -> RpeError:
    lowered = details.lower()
    if any(words in lowered for words in _NEVER_LEFT):
        return ConnectFailed(f"no connection: {details}", endpoint=endpoint)
    wait_s = pushback_s(error)
    if wait_s is None and _is_of_connection(details):
        return ConnectionLost(f"the connection broke: {details}", endpoint=endpoint)
    return failures.status_error(serving.StatusCode.UNAVAILABLE, details, endpoint, retry_after_s=wait_s)


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
    wait_s = pushback_s(error)
    if wait_s is None and _RESET_WORDS in lowered:
        # ENHANCE_YOUR_CALM on a call that has begun: unlike a status, it does not say that nothing was done.
        return RemoteOverloaded(
            f"the server is overloaded: {details}", endpoint=endpoint, maybe_executed=True
        )
    return failures.status_error(
        serving.StatusCode.RESOURCE_EXHAUSTED, details, endpoint, retry_after_s=wait_s
    )


def _is_of_connection(details: str) -> bool:
    lowered = details.lower()
    return any(words in lowered for words in _CONNECTION_WORDS)
