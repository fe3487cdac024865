"""Every error rpe raises, named by what went wrong and whose fault it is.

Five kinds of blame are told apart (`ErrorKind`): the network, time, the remote
execution, the data, and the configuration. Each class says whether trying again
can help (`retryable`) and whether the work may have been done all the same
(`maybe_executed`); an instance may know better and overrides its class.

The text of an error says what happened, where (endpoint, node) and what to do
next. Credentials never appear in it: callers pass endpoints and node names, not
metadata, and `rpe.errors.redact` takes secrets out of text of foreign origin.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "AllEndpointsFailed",
    "AttemptSummary",
    "AuthenticationFailed",
    "CircuitBreakerOpen",
    "ConfigurationError",
    "ConnectFailed",
    "ConnectionLost",
    "DataValidationError",
    "Downstream",
    "DuplicateTransport",
    "ErrorKind",
    "HopLimitExceeded",
    "InvalidRequest",
    "ManifestFetchFailed",
    "ManifestInvalid",
    "NetworkError",
    "ProtocolViolation",
    "RemoteExecutionFailed",
    "RemoteOverloaded",
    "RemoteTimeout",
    "RemoteUnavailable",
    "RpeError",
    "SessionClosed",
    "StreamBroken",
    "UnknownTransport",
    "redact",
]


class ErrorKind(enum.StrEnum):
    """Whose fault an error is: the first thing its reader wants to know."""

    NETWORK = "network"
    TIMEOUT = "timeout"
    REMOTE_EXECUTION = "remote_execution"
    DATA_VALIDATION = "data_validation"
    CONFIGURATION = "configuration"


@dataclass(frozen=True, slots=True)
class AttemptSummary:
    """One attempt of a failed operation, as its error tells it.

    `offset_s` and `duration_s` are seconds, the first counted from the start of
    the operation.
    """

    number: int
    endpoint: str
    outcome: str
    code: str
    reason: str
    offset_s: float
    duration_s: float

    def __str__(self) -> str:
        return (
            f"#{self.number} {self.endpoint} at +{self.offset_s:.3f}s "
            f"for {self.duration_s:.3f}s: {self.code}: {self.reason}"
        )


class RpeError(Exception):
    """The base of all errors of rpe.

    Arguments:
        message: what happened, in one sentence without a full stop.
        endpoint: the address it happened at.
        node: the pipeline node it happened in.
        hint: what the reader can do next.
        attempts: the attempts made before this error was final.
        retryable, maybe_executed: given where the instance knows better than its class.
    """

    code: ClassVar[str] = "rpe"
    kind: ClassVar[ErrorKind] = ErrorKind.CONFIGURATION
    default_retryable: ClassVar[bool] = False
    default_maybe_executed: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        endpoint: str | None = None,
        node: str | None = None,
        hint: str | None = None,
        attempts: Sequence[AttemptSummary] = (),
        retryable: bool | None = None,
        maybe_executed: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.endpoint = endpoint
        self.node = node
        self.hint = self.default_hint if hint is None else hint
        self.attempts = tuple(attempts)
        self.retryable = self.default_retryable if retryable is None else retryable
        self.maybe_executed = self.default_maybe_executed if maybe_executed is None else maybe_executed

    def __str__(self) -> str:
        where = ", ".join(
            f"{name} {value}" for name, value in (("endpoint", self.endpoint), ("node", self.node)) if value
        )
        parts = [f"[{self.code}] {self.message}" + (f" ({where})" if where else "")]
        parts += [f"  {attempt}" for attempt in self.attempts]
        if self.hint:
            parts.append(f"  hint: {self.hint}")
        return "\n".join(parts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, endpoint={self.endpoint!r}, node={self.node!r})"


# --- the network -----------------------------------------------------------------------------------------


class NetworkError(RpeError):
    """Something between here and the endpoint failed."""

    code = "network"
    kind = ErrorKind.NETWORK
    default_retryable = True
    default_maybe_executed = True


class ConnectFailed(NetworkError):
    """No connection was made, so the request never left."""

    code = "connect_failed"
    default_maybe_executed = False
    default_hint = "check that the server is running and that the address is right"


class ConnectionLost(NetworkError):
    """The connection broke while a request was on its way: it may have been executed."""

    code = "connection_lost"
    default_hint = "mark the operation repeatable if doing it twice is harmless; it is then retried"


class StreamBroken(ConnectionLost):
    """A session ended before it was closed; `last_sequence` is the last chunk answered, or None."""

    code = "stream_broken"
    default_retryable = False
    default_hint = "open a new session and send what was not answered"

    def __init__(self, message: str, *, last_sequence: int | None = None, **details: object) -> None:
        super().__init__(message, **details)  # type: ignore[arg-type]
        self.last_sequence = last_sequence


class RemoteUnavailable(NetworkError):
    """The server, or a gateway before it, said that it cannot serve now."""

    code = "remote_unavailable"


class RemoteOverloaded(NetworkError):
    """The server refused for load, before doing the work.

    `retry_after_s` is its own hint in seconds; None if it gave none, negative if it
    asked not to be tried again.
    """

    code = "remote_overloaded"
    default_maybe_executed = False
    default_hint = "send less, or add endpoints to the pool"

    def __init__(self, message: str, *, retry_after_s: float | None = None, **details: object) -> None:
        super().__init__(message, **details)  # type: ignore[arg-type]
        self.retry_after_s = retry_after_s


class CircuitBreakerOpen(NetworkError):
    """The breaker of the endpoint is open, so nothing was sent.

    `retry_after_s` is when the next probe is due, in seconds from now.
    """

    code = "circuit_breaker_open"
    default_maybe_executed = False
    default_hint = "the endpoint failed repeatedly; it is probed again by itself"

    def __init__(self, message: str, *, retry_after_s: float | None = None, **details: object) -> None:
        super().__init__(message, **details)  # type: ignore[arg-type]
        self.retry_after_s = retry_after_s


class AllEndpointsFailed(NetworkError):
    """Every endpoint that could be tried was tried, and each attempt is listed with its reason."""

    code = "all_endpoints_failed"
    default_retryable = False
    default_hint = "the reasons above say what each endpoint answered"


# --- time ------------------------------------------------------------------------------------------------


class RemoteTimeout(RpeError):
    """No answer within the deadline of the operation, or of the attempt."""

    code = "remote_timeout"
    kind = ErrorKind.TIMEOUT
    default_retryable = True
    default_maybe_executed = True
    default_hint = "raise timeout_s, or look at what the server is busy with"


# --- the remote execution --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Downstream:
    """What failed behind the server that told of it: a machine that its pipeline had called in turn.

    kind, code: those of the error as it was where it happened.
    node, endpoint: the node that made the call, and whom it called.
    hop: the number of calls from machine to machine from where the operation began to that endpoint.
    retryable, maybe_executed: whether the server would have the operation tried again, and whether
        it may have been executed.
    """

    kind: ErrorKind
    code: str
    hop: int
    node: str | None = None
    endpoint: str | None = None
    retryable: bool = False
    maybe_executed: bool = True


class RemoteExecutionFailed(RpeError):
    """The server ran the pipeline, and the pipeline failed; `error_type` is the server's own word.

    `downstream` is set where the server says that what failed lies behind it.
    """

    code = "remote_execution_failed"
    kind = ErrorKind.REMOTE_EXECUTION
    default_retryable = True
    default_maybe_executed = True
    default_hint = "look at the failing node on the server"

    def __init__(
        self,
        message: str,
        *,
        error_type: str = "unspecified",
        downstream: Downstream | None = None,
        **details: object,
    ) -> None:
        super().__init__(message, **details)  # type: ignore[arg-type]
        self.error_type = error_type
        self.downstream = downstream


class AuthenticationFailed(RpeError):
    """The server refused our credentials, before doing anything.

    It is retryable where another token may be had at once. `token_refused` is False where
    it was not the token: it is good, but allows too little, or somebody else's was refused.
    """

    code = "authentication_failed"
    kind = ErrorKind.CONFIGURATION
    default_hint = "check the token that is configured for this endpoint"

    def __init__(self, message: str, *, token_refused: bool = True, **details: object) -> None:
        super().__init__(message, **details)  # type: ignore[arg-type]
        self.token_refused = token_refused


class SessionClosed(RpeError):
    """A session was used after it was closed or cancelled: the caller's mistake."""

    code = "session_closed"
    kind = ErrorKind.CONFIGURATION


# --- the data --------------------------------------------------------------------------------------------


class DataValidationError(RpeError):
    """Data is not what its type promises; `field` names the part of it, as a dotted path."""

    code = "data_validation"
    kind = ErrorKind.DATA_VALIDATION
    default_hint = "the sender of this data broke its own format"

    def __init__(self, message: str, *, field: str | None = None, **details: object) -> None:
        super().__init__(f"{field}: {message}" if field else message, **details)  # type: ignore[arg-type]
        self.field = field


class ProtocolViolation(DataValidationError):
    """The server answered something that the wire contract does not allow."""

    code = "protocol_violation"
    default_retryable = True
    default_maybe_executed = True
    default_hint = "the server, or something before it, does not speak this protocol correctly"


class InvalidRequest(DataValidationError):
    """The server refused the request as wrong in itself: no endpoint will take it."""

    code = "invalid_request"
    default_hint = "mend the manifest or the input"


# --- the configuration -----------------------------------------------------------------------------------


class ConfigurationError(RpeError):
    """A setting is wrong, unknown or missing."""

    code = "configuration"


class UnknownTransport(ConfigurationError):
    """No transport of that name is registered."""

    code = "unknown_transport"


class DuplicateTransport(ConfigurationError):
    """Two transports claim one name."""

    code = "duplicate_transport"


class ManifestInvalid(ConfigurationError):
    """A manifest breaks its own rules; every problem found is listed in `problems`."""

    code = "manifest_invalid"

    def __init__(self, message: str, *, problems: Sequence[str] = (), **details: object) -> None:
        super().__init__("; ".join([message, *problems]), **details)  # type: ignore[arg-type]
        self.problems = tuple(problems)


class HopLimitExceeded(ConfigurationError):
    """Pipelines call each other through more machines than may be: most likely they go round in a circle.

    `hops` is the number of the call that was one too many, counted from where the operation began;
    None where it is not known.
    """

    code = "hop_limit_exceeded"
    default_hint = "look for a pipeline in this chain that calls itself through others"

    def __init__(self, message: str, *, hops: int | None = None, **details: object) -> None:
        super().__init__(message, **details)  # type: ignore[arg-type]
        self.hops = hops


class ManifestFetchFailed(RpeError):
    """A manifest could not be fetched from where it was said to be."""

    code = "manifest_fetch_failed"
    kind = ErrorKind.NETWORK
    default_retryable = True


_SECRET = re.compile(
    r"(?i)(bearer\s+|(?:auth_?token|token|password|secret|api_?key)[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&}]+"
)


def redact(text: str) -> str:
    """Take credentials out of text of foreign origin, such as a server's own message."""
    return _SECRET.sub(r"\1[redacted]", text)
