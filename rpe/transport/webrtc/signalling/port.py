"""The client's side of signalling: what a peer asks of it, whichever wire it runs on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Literal, Protocol

from rpe.errors import ConfigurationError
from rpe.transport.ports import NO_METADATA, Metadata, TlsSettings

__all__ = ["SERVER_PEER", "RemoteCandidate", "Signaller", "SignallingSettings"]

SERVER_PEER = "remotemedia-server"
"""The peer id of the pipeline itself."""


@dataclass(frozen=True, slots=True)
class RemoteCandidate:
    """An ICE candidate of the other side as it travelled: `candidate:...`, or empty at the end of them."""

    candidate: str
    sdp_mid: str | None = None
    sdp_mline_index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignallingSettings:
    """How to reach a signalling server.

    Arguments:
        kind: `websocket` for JSON-RPC 2.0 over a WebSocket, `grpc` for the WebRtcSignaling service.
        token: bearer token. WebSocket: the `Authorization` header and `user_data.auth_token` of
            the announcement; gRPC: `authorization` metadata.
        tls: certificates; None is a connection in clear text.
        path: where the WebSocket is.
        max_message_bytes: the largest signalling message taken from the server.
        metadata: further HTTP headers of the handshake, or gRPC metadata.
    """

    kind: Literal["websocket", "grpc"] = "websocket"
    token: str | None = field(default=None, repr=False)
    tls: TlsSettings | None = None
    path: str = "/ws"
    max_message_bytes: int = 1024 * 1024
    metadata: Metadata = field(default=NO_METADATA, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in ("websocket", "grpc"):
            raise ConfigurationError(
                f"there is no signalling of kind {self.kind!r}", hint="there are: websocket, grpc"
            )
        if not self.path.startswith("/"):
            raise ConfigurationError(f"the path of a WebSocket begins with /, unlike {self.path!r}")
        if not self.max_message_bytes > 0:
            raise ConfigurationError(f"max_message_bytes is {self.max_message_bytes}, but must be above 0")


class Signaller(Protocol):
    """One announced peer's connection to a signalling server.

    Nothing in it waits for a bounded time, except `close`: the caller bounds each wait, and may
    cancel any of them without harm to the connection. Errors are those of `rpe.errors`.
    """

    @property
    def lost(self) -> asyncio.Event:
        """Set once the connection has ended, by either side."""
        ...

    async def offer(self, sdp: str) -> str:
        """Offer a session to the pipeline and return its answer, both as SDP.

        Raises InvalidRequest where the offer is refused, RemoteUnavailable where the pipeline
        cannot answer now, RemoteTimeout where it gave up, ProtocolViolation where what came is
        no answer, ConnectionLost where the connection ended first.
        """
        ...

    async def send_candidate(self, candidate: RemoteCandidate) -> None:
        """Tell the pipeline one of our candidates. Raises ConnectionLost where nothing can be sent."""
        ...

    async def receive(self) -> RemoteCandidate | None:
        """Return the pipeline's next candidate; None once the connection has ended. One task at a time."""
        ...

    async def close(self, reason: str = "") -> None:
        """Say goodbye and end the connection, within a second. Harmless twice, and under cancellation."""
        ...
