"""Signalling's error codes, what raises them on the server, and what each means to a client."""

from __future__ import annotations

from rpe.errors import (
    AuthenticationFailed,
    InvalidRequest,
    ProtocolViolation,
    RemoteOverloaded,
    RemoteTimeout,
    RemoteUnavailable,
    RpeError,
    redact,
)
from rpe.transport.serving import Refusal, StatusCode

__all__ = ["Code", "SignallingError", "client_error", "from_refusal"]


class Code:
    """The numbers of JSON-RPC 2.0 (section 5.1), and those of signalling in the range left to servers.

    `UNAUTHENTICATED` is ours: the protocol names no number for a wrong token.
    """

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    PEER_NOT_FOUND = -32000
    SESSION_LIMIT = -32001
    OFFER_INVALID = -32002
    ANSWER_INVALID = -32003
    CANDIDATE_INVALID = -32004
    NEGOTIATION_IN_PROGRESS = -32005
    CONNECTION_TIMEOUT = -32006
    CODEC_MISMATCH = -32007
    UNAUTHENTICATED = -32040


class SignallingError(Exception):
    """Raised on the server; its code and message are what the client is told instead of a result."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def from_refusal(refusal: Refusal) -> SignallingError:
    """Put a handler's refusal into signalling's own terms."""
    return SignallingError(_OF_STATUS.get(refusal.status, Code.INTERNAL_ERROR), refusal.message)


def client_error(code: int, message: str, endpoint: str) -> RpeError:
    """Turn an error that a signalling server answered into the error it means."""
    text = f"the signalling server refused ({code}): {redact(message) or 'no message'}"
    lowered = message.lower()
    if code not in _MEANT and any(word in lowered for word in _AUTHENTICATION_WORDS):
        return AuthenticationFailed(text, endpoint=endpoint)
    return _MEANT.get(code, RemoteUnavailable)(text, endpoint=endpoint, maybe_executed=False)


_OF_STATUS = {
    StatusCode.UNAUTHENTICATED: Code.UNAUTHENTICATED,
    StatusCode.PERMISSION_DENIED: Code.UNAUTHENTICATED,
    StatusCode.RESOURCE_EXHAUSTED: Code.SESSION_LIMIT,
    StatusCode.DEADLINE_EXCEEDED: Code.CONNECTION_TIMEOUT,
    StatusCode.INVALID_ARGUMENT: Code.INVALID_PARAMS,
    StatusCode.NOT_FOUND: Code.PEER_NOT_FOUND,
    StatusCode.UNAVAILABLE: Code.PEER_NOT_FOUND,
}

_MEANT: dict[int, type[RpeError]] = {
    Code.PARSE_ERROR: ProtocolViolation,
    Code.INVALID_REQUEST: ProtocolViolation,
    Code.METHOD_NOT_FOUND: ProtocolViolation,
    Code.INVALID_PARAMS: InvalidRequest,
    Code.PEER_NOT_FOUND: RemoteUnavailable,
    Code.SESSION_LIMIT: RemoteOverloaded,
    Code.OFFER_INVALID: InvalidRequest,
    Code.ANSWER_INVALID: InvalidRequest,
    Code.CANDIDATE_INVALID: InvalidRequest,
    Code.NEGOTIATION_IN_PROGRESS: RemoteUnavailable,
    Code.CONNECTION_TIMEOUT: RemoteTimeout,
    Code.CODEC_MISMATCH: InvalidRequest,
    Code.UNAUTHENTICATED: AuthenticationFailed,
}

_AUTHENTICATION_WORDS = (
    "unauthenticated",
    "unauthorized",
    "unauthorised",
    "authentication",
    "auth_token",
    "credential",
)
"""How servers word a wrong token under a number of their own."""
