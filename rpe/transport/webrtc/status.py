"""From what ends a call on this wire to the errors of rpe."""

from __future__ import annotations

from collections.abc import Callable

from rpe.errors import (
    AuthenticationFailed,
    ConnectionLost,
    InvalidRequest,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteOverloaded,
    RemoteTimeout,
    RemoteUnavailable,
    RpeError,
    StreamBroken,
    redact,
)
from rpe.transport.serving import StatusCode
from rpe.transport.webrtc.control import Reset
from rpe.transport.webrtc.framing import FramingError, MessageTooLarge, NotRead
from rpe.transport.webrtc.link import Death

__all__ = ["closed_client", "death_error", "framing_error", "late", "reset_error"]


def reset_error(reset: Reset, endpoint: str) -> RpeError:
    """Turn the RESET of a server into the error it means. Whether it was executed is judged strictly."""
    text = f"{reset.status.name}: {redact(reset.message or 'no details')}"
    untouched = False if reset.untouched else None
    if reset.status is StatusCode.UNAVAILABLE:
        if reset.retry_after_s is not None:
            # Only a server that turned the request away before touching it can say when to come again.
            return RemoteOverloaded(
                f"the server asked to wait: {text}", endpoint=endpoint, retry_after_s=reset.retry_after_s
            )
        return RemoteUnavailable(
            f"the server is unavailable: {text}", endpoint=endpoint, maybe_executed=untouched
        )
    if reset.status is StatusCode.RESOURCE_EXHAUSTED:
        return RemoteOverloaded(
            f"the server is overloaded: {text}", endpoint=endpoint, retry_after_s=reset.retry_after_s
        )
    return _BY_STATUS[reset.status](text, endpoint)


def death_error(death: Death, endpoint: str) -> RpeError:
    """Turn the death of a link into the error of a call that was on it."""
    if death.violation:
        return ProtocolViolation(f"the server broke the framing: {death.reason}", endpoint=endpoint)
    return ConnectionLost(f"the peer is lost: {death.reason}", endpoint=endpoint)


def framing_error(error: FramingError, endpoint: str) -> RpeError:
    """Turn what is wrong with the frames of one call into its error."""
    if isinstance(error, MessageTooLarge):
        return ProtocolViolation(
            f"the answer is too large: {error}",
            endpoint=endpoint,
            retryable=False,
            hint="raise max_message_bytes on this side",
        )
    if isinstance(error, NotRead):
        return StreamBroken(str(error), endpoint=endpoint, hint="read results as they come")
    return ProtocolViolation(f"the server broke the framing of a call: {error}", endpoint=endpoint)


def late(endpoint: str) -> RpeError:
    """Return the error of a call whose deadline has passed."""
    return RemoteTimeout("no answer within the deadline", endpoint=endpoint)


def closed_client(endpoint: str) -> RpeError:
    """Return the error of a call that a closed client is asked for."""
    return ConnectionLost("the client is closed", endpoint=endpoint, maybe_executed=False, retryable=False)


def _timeout(text: str, endpoint: str) -> RpeError:
    return late(endpoint)


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


_BY_STATUS: dict[StatusCode, Callable[[str, str], RpeError]] = {
    StatusCode.DEADLINE_EXCEEDED: _timeout,
    StatusCode.UNAUTHENTICATED: _authentication,
    StatusCode.PERMISSION_DENIED: _authentication,
    StatusCode.INVALID_ARGUMENT: _invalid,
    StatusCode.FAILED_PRECONDITION: _invalid,
    StatusCode.OUT_OF_RANGE: _invalid,
    StatusCode.NOT_FOUND: _invalid,
    StatusCode.UNIMPLEMENTED: _unimplemented,
    StatusCode.INTERNAL: _failed,
    StatusCode.UNKNOWN: _failed,
    StatusCode.ABORTED: _failed,
    StatusCode.DATA_LOSS: _failed,
    StatusCode.CANCELLED: _lost,
}
