"""From what ends a call on this wire to the errors of rpe."""

from __future__ import annotations

from rpe.errors import ConnectionLost, ProtocolViolation, RpeError, StreamBroken, redact
from rpe.transport.failures import status_error, timed_out
from rpe.transport.webrtc.control import Reset
from rpe.transport.webrtc.framing import FramingError, MessageTooLarge, NotRead
from rpe.transport.webrtc.link import Death

__all__ = ["closed_client", "death_error", "framing_error", "late", "reset_error"]


def reset_error(reset: Reset, endpoint: str) -> RpeError:
    """Turn the RESET of a server into the error it means. Whether it was executed is judged strictly."""
    details = redact(reset.message or "no details")
    error = status_error(reset.status, details, endpoint, retry_after_s=reset.retry_after_s)
    if reset.untouched:
        error.maybe_executed = False
    return error


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
    return timed_out("", endpoint)


def closed_client(endpoint: str) -> RpeError:
    """Return the error of a call that a closed client is asked for."""
    return ConnectionLost("the client is closed", endpoint=endpoint, maybe_executed=False, retryable=False)
