"""The serving side's port: what a server of any wire asks of the handler behind it.

The same handler serves every wire. It says what to answer in the neutral terms of
this module, and each wire's server puts that into its own. A fake needs more than an
honest server does (a status of its choice, bytes that are not a message, silence), so
these are part of the terms.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rpe.data import RuntimeData
from rpe.manifest.model import Manifest

__all__ = [
    "Answer",
    "ApplicationError",
    "ConnectionCut",
    "Damage",
    "ErrorType",
    "PipelineHandler",
    "RawAnswer",
    "ReceivedChunk",
    "Refusal",
    "Reply",
    "ServerCall",
    "ServerSession",
    "ServerSettings",
    "SessionBroken",
    "StatusCode",
    "VersionAnswer",
]


class StatusCode(enum.StrEnum):
    """Why a server refuses a call, in gRPC's words; other wires map them to their own."""

    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    INVALID_ARGUMENT = "invalid_argument"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    NOT_FOUND = "not_found"
    PERMISSION_DENIED = "permission_denied"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    FAILED_PRECONDITION = "failed_precondition"
    ABORTED = "aborted"
    OUT_OF_RANGE = "out_of_range"
    UNIMPLEMENTED = "unimplemented"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    DATA_LOSS = "data_loss"
    UNAUTHENTICATED = "unauthenticated"


class ErrorType(enum.StrEnum):
    """What kind of error a pipeline ended with, as the wire contract names them."""

    UNSPECIFIED = "unspecified"
    VALIDATION = "validation"
    NODE_EXECUTION = "node_execution"
    RESOURCE_LIMIT = "resource_limit"
    AUTHENTICATION = "authentication"
    VERSION_MISMATCH = "version_mismatch"
    INTERNAL = "internal"
    TYPE_VALIDATION = "type_validation"


class Damage(enum.StrEnum):
    """How a wire's server breaks an answer that a handler asks it to break.

    TRUNCATED: the message ends halfway.
    BAD_UTF8: text that is not in its encoding.
    SHORT_AUDIO: audio that promises more samples than it carries.
    EMPTY: a message of the right kind with nothing in it.
    CUT_BODY (HTTP): the connection ends in the middle of the answer, or of the event; a session goes on.
    WRONG_LENGTH (HTTP): the answer announces more bytes than it has.
    SLOW (HTTP sessions): the event comes in small pieces, with pauses between them.
    DUPLICATE (HTTP sessions): the event comes twice.
    LATE (HTTP sessions): the event comes after the one that follows it.
    """

    TRUNCATED = "truncated"
    BAD_UTF8 = "bad_utf8"
    SHORT_AUDIO = "short_audio"
    EMPTY = "empty"
    CUT_BODY = "cut_body"
    WRONG_LENGTH = "wrong_length"
    SLOW = "slow"
    DUPLICATE = "duplicate"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class ServerCall:
    """What a server knows of a call before it reads the request.

    `remaining_s` is what the caller's deadline left on arrival, None where it sent none.
    """

    method: str
    peer: str
    metadata: Mapping[str, str] = field(repr=False)
    remaining_s: float | None
    operation_id: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The pipeline's outputs by name; with `damage`, the wire's server breaks them on their way out."""

    outputs: Mapping[str, RuntimeData]
    wall_time_ms: float = 0.0
    damage: Damage | None = None


@dataclass(frozen=True, slots=True)
class ApplicationError:
    """The pipeline failed; the wire carries this as a normal answer.

    `context` is for programs: JSON, such as `rpe.transport.downstream` makes.
    """

    error_type: ErrorType
    message: str
    node_id: str = ""
    context: str = ""


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """Bytes sent in the place of an answer, whatever they are."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class VersionAnswer:
    """What the server says of itself."""

    node_types: tuple[str, ...] = ()
    protocol_version: str = "v1"
    runtime_version: str = "rpe"
    compatible: bool = True
    message: str = ""


Reply = Answer | ApplicationError | RawAnswer


class Refusal(Exception):
    """Raised by a handler to end a call with a status.

    `retry_after_s` tells the caller when to come back: seconds, or negative for never.
    `http_status` is what an HTTP server answers in the place of the number that `status` means.
    """

    def __init__(
        self,
        status: StatusCode,
        message: str = "",
        *,
        retry_after_s: float | None = None,
        metadata: Mapping[str, str] | None = None,
        http_status: int | None = None,
    ) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s
        self.metadata = dict(metadata or {})
        self.http_status = http_status


class ConnectionCut(Exception):
    """Raised by a handler to break the caller's connection, with no status, as a crash would."""


class SessionBroken(Exception):
    """Raised by `ServerSession.receive` where the caller broke the rules of a session.

    The caller has been told by an error inside the stream; the handler lets it pass.
    """


@dataclass(frozen=True, slots=True)
class ReceivedChunk:
    """One chunk of a session as it arrived: either one buffer for a node, or several by name."""

    node_id: str
    data: RuntimeData | Mapping[str, RuntimeData]
    sequence: int
    timestamp_ms: int = 0


class ServerSession(Protocol):
    """The server's end of a session, after `init` has been read."""

    manifest: Manifest
    inputs: Mapping[str, RuntimeData]

    async def ready(self, session_id: str, *, chunk_size: int = 0, max_latency_ms: int = 0) -> None:
        """Tell the caller that chunks may come."""
        ...

    async def receive(self) -> ReceivedChunk | None:
        """Return the next chunk, None at COMMAND_CLOSE or where the caller half-closed.

        A cancel by the caller cancels the handler's task. Raises SessionBroken where
        the caller broke the rules, such as a sequence number that does not rise.
        """
        ...

    async def send(
        self,
        sequence: int,
        outputs: Mapping[str, RuntimeData],
        *,
        processing_ms: float = 0.0,
        damage: Damage | None = None,
    ) -> None:
        """Send one result, broken in the named way where there is one."""
        ...

    async def send_error(self, error: ApplicationError) -> None:
        """Send an error inside the stream."""
        ...

    async def send_metrics(self, chunks: int, average_latency_ms: float) -> None:
        """Send metrics, unasked, as servers out there do."""
        ...

    async def send_raw(self, payload: bytes) -> None:
        """Send bytes in the place of a message."""
        ...

    async def closed(self, reason: str = "") -> None:
        """Tell the caller that the session has ended in good order."""
        ...


class PipelineHandler(Protocol):
    """What stands behind a server. Each coroutine may raise `Refusal` or `ConnectionCut`."""

    async def execute(self, call: ServerCall, manifest: Manifest, inputs: Mapping[str, RuntimeData]) -> Reply:
        """Answer a unary execution."""
        ...

    async def stream(self, call: ServerCall, session: ServerSession) -> None:
        """Serve one session until it has ended; returning ends the stream with status OK."""
        ...

    async def version(self, call: ServerCall) -> VersionAnswer:
        """Say what this server speaks."""
        ...

    async def admit(self, call: ServerCall) -> None:
        """Let a caller in who shakes hands before it calls anything, or raise `Refusal`."""
        ...

    def idle_timeout_s(self) -> float | None:
        """Say after how many idle seconds a connection is to be closed; None leaves that to the server."""
        ...

    def idle_closed(self) -> None:
        """Learn that a connection was closed because `idle_timeout_s` said so."""
        ...

    def serving(self) -> bool:
        """Say whether health checks are to be answered with SERVING."""
        ...

    async def health(self, call: ServerCall, last: bool | None) -> bool:
        """Answer a health check with what `serving` says, once that differs from `last`.

        A check passes None and is answered at once; a watcher passes what it told its
        caller last, and waits here for the next change.
        """
        ...


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What every wire's server can be told: where to bind, and with which certificates.

    `client_root_certificates` makes it mutual TLS. `health` and `reflection` say whether
    the wire's own services of that name are offered, where it has them (reflection: and
    where the package for it is installed).
    """

    host: str = "127.0.0.1"
    port: int = 0
    max_message_bytes: int = 16 * 1024 * 1024
    certificate_chain: bytes | None = None
    private_key: bytes | None = field(default=None, repr=False)
    client_root_certificates: bytes | None = None
    reflection: bool = True
    health: bool = True
