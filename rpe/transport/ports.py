"""The ports of a transport: what a wire offers to the client above it, and to the server behind it.

A transport is a `TransportPlugin`: it makes a `PipelineClient` for one endpoint, and a
`PipelineServer` for one handler. Nothing above this room knows a concrete wire, and
nothing in it knows of pools, breakers or retries: an attempt goes out, and either a
result comes back or one of the errors of `rpe.errors` is raised.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple, Protocol, Self

from rpe.data import RuntimeData
from rpe.manifest.model import Manifest
from rpe.transport.serving import PipelineHandler

__all__ = [
    "ATTEMPT_KEY",
    "HOPS_KEY",
    "NO_METADATA",
    "OPERATION_KEY",
    "ChunkResult",
    "ClientStreamSession",
    "ExecutionResult",
    "HealthReport",
    "Metadata",
    "NodeMetrics",
    "PipelineClient",
    "PipelineServer",
    "ServingStatus",
    "TlsSettings",
    "TransportPlugin",
    "VersionReport",
]

Metadata = Sequence[tuple[str, str]]
"""Pairs of key and value that travel beside a request; keys are lower case."""

NO_METADATA: Metadata = ()

OPERATION_KEY = "rpe-operation-id"
"""The metadata key (gRPC) or header (HTTP) that names the operation an attempt belongs to."""

ATTEMPT_KEY = "rpe-attempt"
"""The metadata key or header that numbers the attempts of an operation, from 1."""

HOPS_KEY = "rpe-hops"
"""The metadata key or header that counts the machines a pipeline was called through, 1 for the first."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Certificates, as PEM bytes. A client certificate and its key make it mutual TLS."""

    root_certificates: bytes | None = None
    certificate_chain: bytes | None = None
    private_key: bytes | None = field(default=None, repr=False)
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class NodeMetrics:
    """What one node of a remote pipeline cost."""

    execution_time_ms: float = 0.0
    memory_bytes: int = 0
    items_processed: int = 0


NO_NODE_METRICS: Mapping[str, NodeMetrics] = MappingProxyType({})


class ExecutionResult(NamedTuple):
    """The answer to a unary execution: outputs by node id (or `output`), and what it cost.

    `partial` says that the server called it a partial success. (A named tuple, and not a
    frozen dataclass, since one is made in every call and costs a third.)
    """

    outputs: Mapping[str, RuntimeData]
    wall_time_ms: float = 0.0
    node_metrics: Mapping[str, NodeMetrics] = NO_NODE_METRICS
    partial: bool = False

    @property
    def output(self) -> RuntimeData:
        """The output called `output`, or else the only one.

        Raises LookupError where there are several and none has that name.
        """
        if "output" in self.outputs:
            return self.outputs["output"]
        if len(self.outputs) == 1:
            return next(iter(self.outputs.values()))
        raise LookupError(f"{len(self.outputs)} outputs, take one by name: {', '.join(self.outputs)}")


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """One answer of a session: the sequence number of the chunk it answers, and its outputs."""

    sequence: int
    outputs: Mapping[str, RuntimeData]
    processing_time_ms: float = 0.0

    @property
    def output(self) -> RuntimeData:
        """The output called `output`, or else the only one (LookupError where that is not clear)."""
        return ExecutionResult(self.outputs).output


class ServingStatus(enum.StrEnum):
    """What a health check was told. UNKNOWN is an answer that says neither."""

    SERVING = "serving"
    NOT_SERVING = "not_serving"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The answer to one health check, and the means it was asked by."""

    status: ServingStatus
    means: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class VersionReport:
    """What a server says of itself."""

    protocol_version: str
    runtime_version: str
    node_types: tuple[str, ...]
    compatible: bool
    message: str = ""


class ClientStreamSession(Protocol):
    """One open session of streamed chunks with one endpoint.

    Chunks are numbered from 0, strictly upwards. `send` waits while the wire pushes
    back. Exactly one task may receive, and exactly one may send, at a time. After an
    error the session is dead and every further call raises the same error.
    """

    session_id: str

    async def send(
        self,
        data: RuntimeData | Mapping[str, RuntimeData],
        *,
        node_id: str,
        sequence: int,
        timestamp_ms: int = 0,
    ) -> None:
        """Send one chunk, waiting as long as the wire pushes back. Cancelling it ends the session."""
        ...

    async def receive(self) -> ChunkResult | None:
        """Return the next result; None once the server has closed the session in good order."""
        ...

    async def finish(self) -> None:
        """Say that no chunk follows. Results still come until `receive` returns None."""
        ...

    def cancel(self) -> None:
        """End the session at once, without waiting; harmless when it has ended."""
        ...


class PipelineClient(Protocol):
    """A client of one endpoint over one wire. It tries once, and never again by itself.

    Every method raises only errors of `rpe.errors` (and lets cancellation through),
    each of them naming the endpoint.
    """

    endpoint: str

    def execute(
        self,
        manifest: Manifest,
        inputs: Mapping[str, RuntimeData],
        *,
        timeout_s: float,
        metadata: Metadata = NO_METADATA,
    ) -> Awaitable[ExecutionResult]:
        """Run a pipeline once. `timeout_s` travels with the request as its deadline."""
        ...

    def open_stream(
        self,
        manifest: Manifest,
        *,
        timeout_s: float,
        open_timeout_s: float,
        metadata: Metadata = NO_METADATA,
    ) -> Awaitable[ClientStreamSession]:
        """Open a session and wait until the server says that it is ready.

        `timeout_s` bounds the whole session, `open_timeout_s` its opening.
        """
        ...

    def check_health(self, *, timeout_s: float) -> Awaitable[HealthReport]:
        """Ask the server whether it serves, by the means its protocol has."""
        ...

    def get_version(self, *, timeout_s: float) -> Awaitable[VersionReport]:
        """Ask the server what it speaks and which node types it knows."""
        ...

    async def close(self) -> None:
        """Let go of connections; running calls are cancelled. Closing twice is harmless."""
        ...


class PipelineServer(Protocol):
    """A running server of one wire, made by a plugin for a handler."""

    endpoint: str

    async def start(self) -> None:
        """Bind and serve; `endpoint` is the bound address afterwards. Raises where the port is taken."""
        ...

    async def stop(self, grace_s: float = 0.0) -> None:
        """Stop taking calls, give running ones `grace_s` seconds, then cancel them."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class TransportPlugin(Protocol):
    """One wire: how to make its clients and servers, and how to check its settings.

    `datagrams` says that data travels in datagrams beside the connection to the endpoint,
    so that a fault on the way to a server has two ways to act on.
    """

    name: str
    datagrams: bool

    def create_client(self, endpoint: str, config: Mapping[str, Any]) -> PipelineClient:
        """Make a client of one endpoint; nothing is sent before its first call."""
        ...

    def create_server(self, handler: PipelineHandler, config: Mapping[str, Any]) -> PipelineServer:
        """Make a server that answers by `handler` (see `rpe.transport.serving`)."""
        ...

    def validate_config(self, config: Mapping[str, Any]) -> None:
        """Raise ConfigurationError, naming every setting that is unknown or wrong."""
        ...
